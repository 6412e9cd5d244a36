// SPDX-License-Identifier: Apache-2.0
//
// See resolve_x86_64.S. The caller is in x30 here.

        .text

        .macro look_up name, resolver, real
        .globl  \name
        .type   \name, %function
        .p2align 4
\name:
        .cfi_startproc
        hint    #34                     // bti c
        stp     x29, x30, [sp, #-48]!
        .cfi_adjust_cfa_offset 48
        stp     x0, x1, [sp, #16]
        str     x2, [sp, #32]
        add     x0, sp, #16
        mov     x1, x30
        bl      \resolver
        mov     x16, x0
        ldp     x0, x1, [sp, #16]
        ldr     x2, [sp, #32]
        ldp     x29, x30, [sp], #48
        .cfi_adjust_cfa_offset -48
        cbnz    x16, 1f
        adrp    x16, \real
        ldr     x16, [x16, #:lo12:\real]
        cbz     x16, 1f
        br      x16
1:      mov     x0, x16
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        look_up dlsym, HamiResolveDlsym, hami_real_dlsym
        look_up dlvsym, HamiResolveDlvsym, hami_real_dlvsym

        .section .note.GNU-stack, "", %progbits
