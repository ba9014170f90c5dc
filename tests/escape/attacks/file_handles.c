// shocker.c: a file handle opens an inode of the file system below, whatever is mounted over or outside of it.
#include "attack.h"

int main(void) {
  struct {
    struct file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
  } handle;
  static const char* const kPaths[] = {"/", "/app", "/dev/null", "/proc/self/exe", "/tmp"};
  for (size_t i = 0; i < sizeof kPaths / sizeof *kPaths; ++i) {
    int mount = 0;
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    refused(name_to_handle_at(AT_FDCWD, kPaths[i], &handle.head, &mount, 0), "name_to_handle_at");
    const int place = open(kPaths[i], O_RDONLY | O_CLOEXEC);
    // The root of an ext4 or xfs file system is inode 2 or 128, as shocker guesses.
    for (int inode = 2; inode <= 128; inode += 126) {
      memset(&handle, 0, sizeof handle);
      handle.head.handle_bytes = 8;
      handle.head.handle_type = 1;
      memcpy(handle.bytes, &inode, sizeof inode);
      refused(open_by_handle_at(place, &handle.head, O_RDONLY), "open_by_handle_at");
    }
    if (place >= 0) close(place);
  }
  return verdict();
}
