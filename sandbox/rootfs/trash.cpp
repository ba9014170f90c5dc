#include "sandbox/rootfs/trash.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string_view>

#include "sandbox/base/files.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "trash";
constexpr int kNice = 10;     // behind what serves, yet ahead of a tenant who makes more trash
constexpr int kTries = 1000;  // passes over one directory that somebody still fills

using Stream = std::unique_ptr<DIR, int (*)(DIR*)>;

Stream openStream(int dir, const std::string& name) {
  auto fd = files::openAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, files::Resolve::beneath);
  Stream stream(fd ? ::fdopendir(fd->get()) : nullptr, ::closedir);
  if (stream) (void)fd->release();
  return stream;
}

std::string freshName() {
  static std::uint64_t serial = 0;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::to_string(now.tv_sec) + "." + std::to_string(now.tv_nsec) + "-" + std::to_string(serial++);
}

Status moveInto(int trash, int from, const char* name) {
  for (;;) {
    if (::renameat2(from, name, trash, freshName().c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno != EEXIST) return errnoError(kStage, "rename", name);
  }
}

// A file is unlinked, a directory moved up. In a directory with the sticky bit that needs its ownership.
Status discard(int trash, int dir, const char* name) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::unlinkat(dir, name, 0) == 0 || errno == ENOENT) return {};
    if (errno == EISDIR) {
      auto moved = moveInto(trash, dir, name);
      if (moved || (moved.error().code != EPERM && moved.error().code != EACCES)) return moved;
    } else if (errno != EPERM && errno != EACCES) {
      break;
    }
    if (::fchown(dir, 0, 0) != 0) break;
  }
  return errnoError(kStage, "unlink", name);
}

Status removeTop(int trash, const std::string& name) {
  if (::unlinkat(trash, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return errnoError(kStage, "unlink", name);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (::unlinkat(trash, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY) return errnoError(kStage, "rmdir", name);
    const Stream stream = openStream(trash, name);
    if (!stream) return errnoError(kStage, "open", name);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view found(entry->d_name);
      if (found == "." || found == "..") continue;
      if (auto done = discard(trash, ::dirfd(stream.get()), entry->d_name); !done) return done;
    }
  }
  return Error{std::string(kStage), "rmdir", name, ENOTEMPTY};
}

// Nothing else of the launcher's may stay open here: a session that it closes must be seen to end.
Status keepOnly(int& trash, int& bell) {
  constexpr int kFirst = 3;
  int number = kFirst;
  for (int* fd : {&trash, &bell}) {
    *fd = ::fcntl(*fd, F_DUPFD_CLOEXEC, kFirst + 2);
    if (*fd < 0) return errnoError(kStage, "dup");
  }
  for (int* fd : {&trash, &bell}) {
    if (::dup3(*fd, number, O_CLOEXEC) < 0) return errnoError(kStage, "dup");
    *fd = number++;
  }
  return process::closeFrom(number);
}

[[noreturn]] void deleteUntilTheEnd(int trash, int bell) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_NAME, "cloister-trash", 0, 0, 0);
  (void)::setpriority(PRIO_PROCESS, 0, kNice);
  constexpr std::array<unsigned, 2> kNeeded = {CAP_CHOWN, CAP_DAC_OVERRIDE};
  if (!keepOnly(trash, bell) || !process::setCapabilities(kNeeded)) ::_exit(1);
  std::array<char, 256> rings{};
  do {
    if (auto done = emptyTrash(trash); !done)
      std::fprintf(stderr, "cloister-launcher: %s\n", done.error().message().c_str());
  } while (::read(bell, rings.data(), rings.size()) > 0);
  ::_exit(0);
}

}  // namespace

Status emptyTrash(int trash) {
  Status worst;
  for (bool found = true; found && worst.ok();) {
    found = false;
    const Stream stream = openStream(trash, ".");
    if (!stream) return errnoError(kStage, "open", ".");
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string name(entry->d_name);
      if (name == "." || name == "..") continue;
      found = true;
      if (auto done = removeTop(trash, name); !done && worst.ok()) worst = done;
    }
  }
  return worst;
}

Status Trash::take(int from, const std::string& name) {
  return moveInto(directory_.get(), from, name.c_str());
}

Status Trash::wake() {
  // Full: it has more than one turn before it, and the last will see everything.
  if (bell_ && (::write(bell_.get(), "x", 1) == 1 || errno == EAGAIN)) return {};
  return start();
}

Status Trash::start() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errnoError(kStage, "pipe2");
  UniqueFd bell(ends[0]);
  bell_.reset(ends[1]);
  if (::fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) return errnoError(kStage, "fcntl", "pipe");
  auto child = process::cloneProcess(0, -1);
  if (!child) return child.error();
  if (child->pid == 0) {
    bell_.reset();
    deleteUntilTheEnd(directory_.get(), bell.get());
  }
  return {};
}

}  // namespace cloister::rootfs
