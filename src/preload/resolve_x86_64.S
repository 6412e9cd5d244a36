// SPDX-License-Identifier: Apache-2.0
//
// dlsym and dlvsym as the application sees them. libc's own versions look at their return address
// to find the caller (RTLD_NEXT, RTLD_DEFAULT), so unless we answer, we leave no trace: the
// arguments are put back and libc's function is jumped to with the caller's return address on the
// stack.
//
//   void* HamiResolveDlsym(void** arguments, void* caller)   (resolve.cc)
//     arguments[0] handle (may be changed), [1] name, [2] version
//     returns the answer, or nullptr: ask libc

        .text

        .macro look_up name, resolver, real
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        endbr64
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        movq    %rsp, %rdi
        movq    24(%rsp), %rsi
        call    \resolver
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        testq   %rax, %rax
        jz      1f
        ret
1:      movq    \real(%rip), %rax
        testq   %rax, %rax
        jz      2f
        jmpq    *%rax
2:      ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        look_up dlsym, HamiResolveDlsym, hami_real_dlsym
        look_up dlvsym, HamiResolveDlvsym, hami_real_dlvsym

        .section .note.GNU-stack, "", @progbits
