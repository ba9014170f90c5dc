#include "sandbox/rootfs/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "policy/model/budgets.h"
#include "policy/model/kernel_views.h"
#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"
#include "sandbox/rootfs/processor_tree.h"

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

// Most images have the directories that are mounted on.
Status attachAt(int root, const char* path, int mounted) {
  auto where = target(root, path, O_DIRECTORY);
  if (!where && where.error().code == ENOENT) {
    if (auto made = makeDirectory(root, path); !made) return made;
    where = target(root, path, O_DIRECTORY);
  }
  if (!where) return where.error();
  return mounts::attach(mounted, where->get(), path);
}

// On a small tmpfs of the child's own: the mount points that overlay wants as paths, and the overlay itself at "root".
Status stackLayers(Tree& tree) {
  if (auto done = mounts::makePrivate(); !done) return done;
  auto bench = mounts::make("tmpfs", {{"mode", "0700"}, {"size", "1m"}}, mounts::kNoSuid | mounts::kNoDev);
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
  auto terminals = mounts::make("devpts",
                                {{"newinstance", ""},
                                 {"ptmxmode", "0666"},
                                 {"mode", "0620"},
                                 {"gid", "5"},
                                 {"max", std::to_string(policy::ContainerBudget::kTerminals)}},
                                mounts::kNoSuid | mounts::kNoExec);
  if (!terminals) return terminals.error();
  if (auto done = attachAt(directory->get(), "pts", terminals->get()); !done) return done;
  auto shared = mounts::make("tmpfs",
                             {{"mode", "1777"},
                              {"size", std::to_string(policy::ContainerBudget::kSharedMemoryBytes)},
                              {"nr_inodes", std::to_string(policy::ContainerBudget::kSharedMemoryFiles)}},
                             kQuiet);
  if (!shared) return shared.error();
  if (auto done = attachAt(directory->get(), "shm", shared->get()); !done) return done;
  auto queues = mounts::make("mqueue", {}, kQuiet);
  if (!queues) return queues.error().code == ENODEV ? Status() : Status(queues.error());
  return attachAt(directory->get(), "mqueue", queues->get());
}

// What goes over entries of /proc: the container's own texts, and for the rest an empty file that nobody may open or an
// empty directory. Detached mounts of what is on the bench, made while that has a name; read-only, so that a write is
// refused and not swallowed, as it would be by /dev/null.
struct Cover {
  std::string name;  // below /proc
  UniqueFd mounted;
};

std::string ownName(std::size_t i) {
  return "own/" + std::to_string(i);
}

Status writeOwnFile(Tree& tree, std::size_t i) {
  const auto& own = tree.own[i];
  auto file = files::openAt(AT_FDCWD, ownName(i), O_RDWR | O_CREAT | O_EXCL, files::Resolve::anywhere, 0444);
  if (!file) return file.error();
  if (auto wrote = files::writeAll(file->get(), own.text); !wrote) return wrote;
  const auto live = std::find(std::begin(kLiveViewNames), std::end(kLiveViewNames), own.name);
  if (live == std::end(kLiveViewNames)) return {};
  // Only a file's owner gets a lease on it.
  if (::fchown(file->get(), tree.initUser, tree.initUser) != 0) return errnoError(kStage, "chown", own.name);
  tree.live.at(static_cast<std::size_t>(live - std::begin(kLiveViewNames))) = std::move(*file);
  return {};
}

Result<std::vector<Cover>> makeCovers(Tree& tree) {
  if (auto made = makeDirectory(AT_FDCWD, "own"); !made) return made.error();
  if (::mkdir("own/empty", 0555) != 0) return errnoError(kStage, "mkdir", "empty");
  if (auto none = files::openAt(AT_FDCWD, "own/none", O_WRONLY | O_CREAT | O_EXCL, files::Resolve::anywhere, 0);
      !none) {
    return none.error();
  }
  for (std::size_t i = 0; i < tree.own.size(); ++i) {
    if (auto wrote = writeOwnFile(tree, i); !wrote) return wrote.error();
  }
  // A read-only view of the directory over itself: what is cloned from it is read-only, without a call for each.
  auto view = mounts::clone(AT_FDCWD, "own");
  if (!view) return view.error();
  if (auto done = mounts::restrict(view->get(), mounts::kReadOnly | kQuiet); !done) return done.error();
  if (auto done = mounts::attachBelow(view->get(), AT_FDCWD, "own"); !done) return done.error();

  std::vector<Cover> covers;
  const auto add = [&covers](const std::string& name, const std::string& from) -> Status {
    auto mounted = mounts::clone(AT_FDCWD, from);
    if (!mounted) return mounted.error();
    covers.push_back({name, std::move(*mounted)});
    return {};
  };
  for (const auto& [name, shape] : tree.views->covers()) {
    auto done = add(name, shape == KernelViews::Shape::file ? "own/none" : "own/empty");
    if (!done) return done.error();
  }
  for (std::size_t i = 0; i < tree.own.size(); ++i) {
    if (auto done = add(tree.own[i].name, ownName(i)); !done) return done.error();
  }
  return covers;
}

// An entry that the container's kernel view lacks needs no cover.
Status attachInProc(int mounted, int proc, const std::string& name) {
  auto done = mounts::attachBelow(mounted, proc, name);
  if (!done && done.error().code == ENOENT) return {};
  return done;
}

// Settings read-only, all else behind its cover.
Status narrowProc(int proc, const std::vector<Cover>& covers) {
  for (const auto& view : policy::kReadOnlyPaths) {
    auto same = mounts::clone(proc, view.path);
    if (!same) return same.error();
    if (auto done = mounts::restrict(same->get(), mounts::kReadOnly | kQuiet); !done) return done;
    if (auto done = attachInProc(same->get(), proc, view.path); !done) return done;
  }
  for (const auto& cover : covers) {
    if (auto done = attachInProc(cover.mounted.get(), proc, cover.name); !done) return done;
  }
  return {};
}

// Replaces whatever the image has at <name>, a symbolic link too.
Status writeEtc(int etc, const char* name, const std::string& text) {
  if (::unlinkat(etc, name, 0) != 0 && errno != ENOENT) return errnoError(kStage, "unlink", name);
  auto file = files::openAt(etc, name, O_WRONLY | O_CREAT | O_EXCL, files::Resolve::beneath, 0644);
  if (!file) return file.error();
  return files::writeAll(file->get(), text);
}

Status writeNames(int root, const Tree& tree) {
  if (auto made = makeDirectory(root, "etc"); !made) return made;
  auto etc = files::openAt(root, "etc", O_RDONLY | O_DIRECTORY, files::Resolve::noSymlinks);
  if (!etc) return etc.error();
  const std::string own = tree.address == 0 ? "127.0.1.1" : formatIpv4(tree.address);
  if (auto done = writeEtc(etc->get(), "hostname", tree.hostname + "\n"); !done) return done;
  if (auto done = writeEtc(etc->get(), "hosts", "127.0.0.1 localhost\n" + own + " " + tree.hostname + "\n"); !done)
    return done;
  const std::string resolver =
      tree.address == 0 ? "" : "nameserver " + formatIpv4(kDnsAddress) + "\noptions timeout:3\n";
  return writeEtc(etc->get(), "resolv.conf", resolver);
}

// The container's own user namespace takes no other below it, whoever asks.
Status forbidNamespaces(int proc) {
  auto wrote = files::writeControl(proc, "sys/user/max_user_namespaces",
                                   std::to_string(policy::ContainerBudget::kUserNamespaces));
  if (!wrote && wrote.error().code == ENOENT) return {};
  return wrote;
}

}  // namespace

Status enter(Tree& tree) {
  if (auto done = stackLayers(tree); !done) return done;

  auto covers = makeCovers(tree);
  if (!covers) return covers.error();
  // All of these must be made while the host's own /proc and /dev are still in this mount namespace.
  auto proc = mounts::make("proc", {}, kQuiet);
  if (!proc) return proc.error();
  if (auto done = forbidNamespaces(proc->get()); !done) return done;
  auto dev = mounts::make("tmpfs", {{"mode", "0755"}, {"size", "64k"}, {"nr_inodes", "64"}},
                          mounts::kNoSuid | mounts::kNoExec);
  if (!dev) return dev.error();
  auto sys = makeSys(tree.processors);
  if (!sys) return sys.error();
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
  if (auto done = attachAt(root->get(), "sys", sys->get()); !done) return done;
  auto inside = files::openAt(root->get(), "proc", O_RDONLY | O_DIRECTORY, files::Resolve::noSymlinks);
  if (!inside) return inside.error();
  if (auto done = narrowProc(inside->get(), *covers); !done) return done;
  if (tree.frozen) {
    if (auto done = attachAt(root->get(), "upper", tree.frozen.get()); !done) return done;
  }
  if (auto done = writeNames(root->get(), tree); !done) return done;
  if (::sethostname(tree.hostname.c_str(), tree.hostname.size()) != 0)
    return errnoError(kStage, "sethostname", tree.hostname);
  return {};
}

}  // namespace cloister::rootfs
