// Huge pages come from a pool of the host's that no group of a container counts.
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "attack.h"

enum { kHugePage = 2 << 20 };

static void touched(void* memory, const char* what) {
  if (memory == MAP_FAILED) {
    refused(-1, what);
    return;
  }
  memset(memory, 1, kHugePage);
  escaped("%s", what);
}

int main(void) {
  const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
  touched(mmap(NULL, kHugePage, PROT_READ | PROT_WRITE, anonymous, -1, 0), "MAP_HUGETLB");
  const int file = memfd_create("huge", MFD_HUGETLB);
  refused(file, "MFD_HUGETLB");
  if (file >= 0) touched(mmap(NULL, kHugePage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), "a huge memory file");
  const int shared = shmget(IPC_PRIVATE, kHugePage, IPC_CREAT | SHM_HUGETLB | 0600);
  refused(shared, "SHM_HUGETLB");
  if (shared >= 0) touched(shmat(shared, NULL, 0), "huge shared memory");
  return verdict();
}
