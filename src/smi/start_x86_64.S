// SPDX-License-Identifier: Apache-2.0
//
// The process entry (System V ABI, AMD64, 3.4.1) in place of the toolchain's crt1.o, which would
// ask for the __libc_start_main of the build machine's glibc (2.34). There are no constructors to
// run.

        .symver __libc_start_main,__libc_start_main@GLIBC_2.2.5

        .globl  _start
        .type   _start, @function
_start:
        .cfi_startproc
        .cfi_undefined rip
        xorl    %ebp, %ebp
        movq    %rdx, %r9               // rtld_fini
        popq    %rsi                    // argc
        movq    %rsp, %rdx              // argv
        andq    $-16, %rsp
        pushq   %rax
        pushq   %rsp                    // stack_end
        xorl    %r8d, %r8d              // fini
        xorl    %ecx, %ecx              // init
        leaq    main(%rip), %rdi
        call    *__libc_start_main@GOTPCREL(%rip)
        hlt
        .cfi_endproc
        .size   _start, .-_start

        .section .note.GNU-stack,"",@progbits
