#include "sandbox/rootfs/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "policy/model/kernel_views.h"
#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "rootfs";
constexpr std::uint64_t kQuiet = mounts::kNoSuid | mounts::kNoDev | mounts::kNoExec;
constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom", "tty"};

struct Link {
  const char* name;
  const char* target;
};
constexpr std::array kDeviceLinks = {Link{"fd", "/proc/self/fd"}, Link{"stdin", "/proc/self/fd/0"},
                                     Link{"stdout", "/proc/self/fd/1"}, Link{"stderr", "/proc/self/fd/2"},
                                     Link{"ptmx", "pts/ptmx"}};

Status makeDirectory(int dir, const char* name) {
  if (::mkdirat(dir, name, 0755) != 0 && errno != EEXIST) return errnoError(kStage, "mkdir", name);
  return {};
}

Result<UniqueFd> target(int root, std::string_view path, int flags) {
  return files::openAt(root, path, O_PATH | flags, files::Resolve::noSymlinks);
}

Status attachAt(int root, const char* path, int mounted) {
  if (auto made = makeDirectory(root, path); !made) return made;
  auto where = target(root, path, O_DIRECTORY);
  if (!where) return where.error();
  return mounts::attach(mounted, where->get(), path);
}

// On a small tmpfs of the child's own: the mount points that overlay wants as paths, and the overlay itself at "root".
Status stackLayers(Tree& tree) {
  if (auto done = mounts::makePrivate(); !done) return done;
  auto bench = mounts::make("tmpfs", {{"mode", "0700"}, {"size", "64k"}}, mounts::kNoSuid | mounts::kNoDev);
  if (!bench) return bench.error();
  auto stage = files::openAt(AT_FDCWD, tree.stage, O_PATH | O_DIRECTORY);  // search permission is all we have
  if (!stage) return stage.error();
  if (auto done = mounts::attach(bench->get(), stage->get(), tree.stage); !done) return done;
  if (::chdir(tree.stage.c_str()) != 0) return errnoError(kStage, "chdir", tree.stage);
  auto here = files::openAt(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
  if (!here) return here.error();

  std::string lower;
  for (std::size_t i = 0; i < tree.layers.size(); ++i) {
    const std::string name = "l" + std::to_string(i);
    if (auto done = attachAt(here->get(), name.c_str(), tree.layers[i].get()); !done) return done;
    lower += (i == 0 ? "" : ":") + name;
  }
  if (auto done = attachAt(here->get(), "u", tree.upper.get()); !done) return done;
  if (auto done = makeDirectory(here->get(), "root"); !done) return done;
  const std::string options = "lowerdir=" + lower + ",upperdir=u/upper,workdir=u/work,userxattr";
  return mounts::overlay("root", options);
}

Status populateDevices(int root, int dev, std::array<UniqueFd, kDevices.size()>& nodes) {
  if (auto done = attachAt(root, "dev", dev); !done) return done;
  auto directory = files::openAt(root, "dev", O_RDONLY | O_DIRECTORY, files::Resolve::noSymlinks);
  if (!directory) return directory.error();
  for (std::size_t i = 0; i < kDevices.size(); ++i) {
    auto node =
        files::openAt(directory->get(), kDevices.at(i), O_WRONLY | O_CREAT | O_EXCL, files::Resolve::beneath, 0666);
    if (!node) return node.error();
    if (auto done = mounts::attach(nodes.at(i).get(), node->get(), kDevices.at(i)); !done) return done;
  }
  for (const auto& link : kDeviceLinks) {
    if (::symlinkat(link.target, directory->get(), link.name) != 0) return errnoError(kStage, "symlink", link.name);
  }
  auto terminals = mounts::make("devpts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}},
                                mounts::kNoSuid | mounts::kNoExec);
  if (!terminals) return terminals.error();
  if (auto done = attachAt(directory->get(), "pts", terminals->get()); !done) return done;
  auto shared = mounts::make("tmpfs", {{"mode", "1777"}, {"size", "64m"}, {"nr_inodes", "4096"}}, kQuiet);
  if (!shared) return shared.error();
  return attachAt(directory->get(), "shm", shared->get());
}

// Masks hide a file behind /dev/null and a directory behind an empty one; what this kernel lacks needs no mask.
Status narrowProc(int root, int null, int empty) {
  for (const auto& view : policy::kMaskedPaths) {
    auto where = target(root, std::string_view(view.path).substr(1), 0);
    if (!where && where.error().code == ENOENT) continue;
    if (!where) return where.error();
    struct stat info {};
    if (::fstat(where->get(), &info) != 0) return errnoError(kStage, "fstat", view.path);
    auto cover = mounts::clone(S_ISDIR(info.st_mode) ? empty : null, "");
    if (!cover) return cover.error();
    if (auto done = mounts::attach(cover->get(), where->get(), view.path); !done) return done;
  }
  for (const auto& view : policy::kReadOnlyPaths) {
    auto where = target(root, std::string_view(view.path).substr(1), 0);
    if (!where && where.error().code == ENOENT) continue;
    if (!where) return where.error();
    auto same = mounts::clone(where->get(), "");
    if (!same) return same.error();
    if (auto done = mounts::restrict(same->get(), mounts::kReadOnly | kQuiet); !done) return done;
    if (auto done = mounts::attach(same->get(), where->get(), view.path); !done) return done;
  }
  return {};
}

// Replaces whatever the image has at etc/<name>, a symbolic link too.
Status writeEtc(int root, const char* name, const std::string& text) {
  if (auto made = makeDirectory(root, "etc"); !made) return made;
  auto etc = files::openAt(root, "etc", O_RDONLY | O_DIRECTORY, files::Resolve::noSymlinks);
  if (!etc) return etc.error();
  if (::unlinkat(etc->get(), name, 0) != 0 && errno != ENOENT) return errnoError(kStage, "unlink", name);
  auto file = files::openAt(etc->get(), name, O_WRONLY | O_CREAT | O_EXCL, files::Resolve::beneath, 0644);
  if (!file) return file.error();
  return files::writeAll(file->get(), text);
}

Status writeNames(int root, const Tree& tree) {
  const std::string own = tree.address == 0 ? "127.0.1.1" : formatIpv4(tree.address);
  if (auto done = writeEtc(root, "hostname", tree.hostname + "\n"); !done) return done;
  if (auto done = writeEtc(root, "hosts", "127.0.0.1 localhost\n" + own + " " + tree.hostname + "\n"); !done)
    return done;
  const std::string resolver =
      tree.address == 0 ? "" : "nameserver " + formatIpv4(kDnsAddress) + "\noptions timeout:3\n";
  return writeEtc(root, "resolv.conf", resolver);
}

}  // namespace

Status enter(Tree& tree) {
  if (auto done = stackLayers(tree); !done) return done;

  // All of these must be made while the host's own /proc and /dev are still in this mount namespace.
  auto proc = mounts::make("proc", {}, kQuiet);
  if (!proc) return proc.error();
  auto dev = mounts::make("tmpfs", {{"mode", "0755"}, {"size", "64k"}, {"nr_inodes", "64"}},
                          mounts::kNoSuid | mounts::kNoExec);
  if (!dev) return dev.error();
  auto nothing =
      mounts::make("tmpfs", {{"mode", "0555"}, {"size", "4k"}, {"nr_inodes", "2"}}, kQuiet | mounts::kReadOnly);
  if (!nothing) return nothing.error();
  std::array<UniqueFd, kDevices.size()> nodes;
  for (std::size_t i = 0; i < kDevices.size(); ++i) {
    auto node = mounts::clone(AT_FDCWD, std::string("/dev/") + kDevices.at(i));
    if (!node) return node.error();
    nodes.at(i) = std::move(*node);
  }

  if (::chdir("root") != 0) return errnoError(kStage, "chdir", "root");
  if (auto done = mounts::pivotHere(); !done) return done;
  auto root = files::openAt(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
  if (!root) return root.error();

  if (auto done = attachAt(root->get(), "proc", proc->get()); !done) return done;
  if (auto done = populateDevices(root->get(), dev->get(), nodes); !done) return done;
  if (auto done = attachAt(root->get(), "sys", nothing->get()); !done) return done;
  auto null = target(root->get(), "dev/null", 0);
  if (!null) return null.error();
  auto empty = target(root->get(), "sys", O_DIRECTORY);
  if (!empty) return empty.error();
  if (auto done = narrowProc(root->get(), null->get(), empty->get()); !done) return done;
  if (tree.frozen) {
    if (auto done = attachAt(root->get(), "upper", tree.frozen.get()); !done) return done;
  }
  if (auto done = writeNames(root->get(), tree); !done) return done;
  if (::sethostname(tree.hostname.c_str(), tree.hostname.size()) != 0)
    return errnoError(kStage, "sethostname", tree.hostname);
  return {};
}

}  // namespace cloister::rootfs
