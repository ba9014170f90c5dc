// Filters that forget the other tables of this processor: i386 by int 0x80, and x32. Each call must end its process.
#include <sys/syscall.h>

#include "attack.h"

static void i386Getpid(void) {
  long result = 20;  // getpid of i386
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  printf("int 0x80 answered %ld\n", result);
}

static void i386Socketcall(void) {
  // One number for every socket family: the arguments are in memory, where a filter cannot look.
  static int arguments[3] __attribute__((aligned(16))) = {17, 3, 0};
  long result = 102;
  __asm__ volatile("int $0x80" : "+a"(result) : "b"(1L), "c"((long)arguments) : "memory");
  printf("socketcall answered %ld\n", result);
}

static void x32Getpid(void) {
  printf("x32 answered %ld\n", syscall(0x40000000L | SYS_getpid));
}

static void x32Ptrace(void) {
  printf("x32 answered %ld\n", syscall(0x40000000L | 521, 0, 0, 0, 0));
}

static void expectKilled(void (*body)(void), const char* what) {
  const int status = in_child(body);
  if (status == -1) exit(2);
  // A kernel without the i386 table answers int 0x80 with a fault of its own.
  if (!WIFSIGNALED(status) || (WTERMSIG(status) != SIGSYS && WTERMSIG(status) != SIGSEGV)) {
    escaped("%s: wait status %x", what, (unsigned)status);
  } else {
    printf("refused: %s: signal %d\n", what, WTERMSIG(status));
  }
}

int main(void) {
  expectKilled(i386Getpid, "int 0x80");
  expectKilled(i386Socketcall, "socketcall");
  expectKilled(x32Getpid, "x32 getpid");
  expectKilled(x32Ptrace, "x32 ptrace");
  return verdict();
}
