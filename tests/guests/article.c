// The article's program, whole: write(2) by hand. gcc -O0 -g -no-pie -static
#include <unistd.h>
#include <sys/syscall.h>

int main() {
    const char msg[] = "Hi\n";
    long ret;
    asm volatile (
        "mov $1, %%rax\n"       // syscall number (sys_write)
        "mov $1, %%rdi\n"       // fd = stdout
        "lea %1, %%rsi\n"       // buffer address
        "mov $3, %%rdx\n"       // length
        "syscall\n"
        "mov %%rax, %0\n"
        : "=r" (ret)
        : "m"(msg)
        : "rax", "rdi", "rsi", "rdx"
    );
    return 0;
}
