#include "sandbox/rootfs/uppers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"
#include "sandbox/rootfs/pool_image.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "uppers";
constexpr std::uint64_t kAttributes = mounts::kNoSuid | mounts::kNoDev;

Result<UniqueFd> makeTmpfs(uid_t owner, std::uint64_t bytes, std::uint64_t inodes) {
  return mounts::make("tmpfs",
                      {{"size", std::to_string(bytes)},
                       {"nr_inodes", std::to_string(inodes)},
                       {"mode", "0700"},
                       {"uid", std::to_string(owner)},
                       {"gid", std::to_string(owner)}},
                      kAttributes);
}

// EOPNOTSUPP: this kernel's tmpfs keeps no user attributes.
Status probeTmpfs() {
  auto probe = makeTmpfs(0, 4096, 16);
  if (!probe) return probe.error();
  auto directory = files::openAt(probe->get(), ".", O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  if (::fsetxattr(directory->get(), "user.overlay.opaque", "y", 1, 0) != 0) return errnoError(kStage, "setxattr");
  return {};
}

Status makeParts(int upper, TenantIndex tenant) {
  for (const char* part : {"upper", "work"}) {
    if (::mkdirat(upper, part, 0755) != 0) return errnoError(kStage, "mkdir", part);
    if (::fchownat(upper, part, firstUid(tenant), firstUid(tenant), AT_SYMLINK_NOFOLLOW) != 0) {
      return errnoError(kStage, "chown", part);
    }
  }
  return {};
}

}  // namespace

Uppers::Uppers(const Options& options)
    : kept_(options.mnt + "/uppers"), pool_(options.mnt + "/pool"), image_(options.pool) {}

Result<std::unique_ptr<Uppers>> Uppers::open(const Options& options) {
  std::unique_ptr<Uppers> uppers(new Uppers(options));
  // Children step through these as root of their own user namespace, strangers here.
  for (const auto& directory : {uppers->kept_, uppers->pool_}) {
    if (auto made = files::makeDirectories(directory, 0711); !made) return made.error();
  }
  const Status tmpfs = probeTmpfs();
  if (!tmpfs && tmpfs.error().code != EOPNOTSUPP) return tmpfs.error();
  const bool onDisk = options.wanted == Wanted::disk || (options.wanted == Wanted::automatic && !tmpfs);
  uppers->kind_ = onDisk ? UpperKind::disk : UpperKind::memory;
  uppers->reason_ = onDisk ? "a directory with a project quota in one ext4, removed with the container"
                           : "a tmpfs of its own, counted as its memory";
  if (options.wanted != Wanted::automatic) {
    uppers->reason_ += "; the launcher was told so";
  } else if (onDisk) {
    uppers->reason_ += "; this kernel's tmpfs keeps no user attributes";
  }
  if (onDisk) {
    if (auto opened = uppers->openPool(); !opened) return opened.error();
  }
  return uppers;
}

Status Uppers::openPool() {
  if (image_.empty()) return Error{std::string(kStage), "find pool", "", ENOENT};
  auto mounted = mountPool(image_, kAttributes);
  if (!mounted) return mounted.error();
  auto target = files::openDirectory(pool_);
  if (!target) return target.error();
  if (auto done = mounts::attach(mounted->get(), target->get(), pool_); !done) return done;
  if (auto made = files::makeDirectories(pool_ + "/uppers", 0711); !made) return made;
  if (auto made = files::makeDirectories(pool_ + "/trash", 0700); !made) return made;
  auto uppers = files::openDirectory(pool_ + "/uppers");
  if (!uppers) return uppers.error();
  auto trash = files::openDirectory(pool_ + "/trash");
  if (!trash) return trash.error();
  uppers_ = std::move(*uppers);
  trash_ = std::make_unique<Trash>(std::move(*trash));
  return findLastProject();
}

// A project counts for one upper, also while its files are still being deleted.
Status Uppers::findLastProject() {
  for (const char* part : {"/uppers", "/trash"}) {
    auto names = files::names(pool_ + part);
    if (!names) return names.error();
    for (const auto& name : *names) {
      auto directory = files::openAt(AT_FDCWD, pool_ + part + "/" + name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!directory) continue;  // a file in the trash, or what has just been deleted
      auto project = projectOf(directory->get());
      if (!project) return project.error();
      last_ = std::max(last_, *project);
    }
  }
  return {};
}

Result<UniqueFd> Uppers::make(const std::string& instance, TenantIndex tenant, std::uint64_t bytes,
                              std::uint64_t inodes) {
  return kind_ == UpperKind::disk ? makeOnDisk(instance, tenant, bytes, inodes) : makeInMemory(tenant, bytes, inodes);
}

Result<UniqueFd> Uppers::makeInMemory(TenantIndex tenant, std::uint64_t bytes, std::uint64_t inodes) const {
  auto upper = makeTmpfs(firstUid(tenant), bytes, inodes);
  if (!upper) return upper;
  if (auto made = makeParts(upper->get(), tenant); !made) return made.error();
  return upper;
}

Result<UniqueFd> Uppers::makeOnDisk(const std::string& instance, TenantIndex tenant, std::uint64_t bytes,
                                    std::uint64_t inodes) {
  if (::mkdirat(uppers_.get(), instance.c_str(), 0700) != 0) return errnoError(kStage, "mkdir", instance);
  auto directory = files::openAt(uppers_.get(), instance, O_RDONLY | O_DIRECTORY, files::Resolve::beneath);
  if (!directory) return directory.error();
  const Project project = ++last_;
  // The number first, so that all below inherits it; the owner last, because only an owner may set the number.
  if (auto done = setProject(directory->get(), project); !done) return done.error();
  if (auto done = limitProject(directory->get(), project, bytes, inodes); !done) return done.error();
  if (auto done = makeParts(directory->get(), tenant); !done) return done.error();
  if (::fchown(directory->get(), firstUid(tenant), firstUid(tenant)) != 0) return errnoError(kStage, "chown", instance);
  return mounts::clone(directory->get(), "");
}

Result<UniqueFd> Uppers::keep(const std::string& instance, UniqueFd upper) {
  if (kind_ == UpperKind::disk) return upper;  // its directory stays
  const std::string directory = kept_ + "/" + instance;
  if (auto made = files::makeDirectories(directory, 0700); !made) return made.error();
  auto target = files::openDirectory(directory);
  if (!target) return target.error();
  if (auto done = mounts::attach(upper.get(), target->get(), directory); !done) return done.error();
  // Of the attached mount: before Linux 6.15 a detached one cannot be cloned.
  return mounts::clone(upper.get(), "");
}

Result<UniqueFd> Uppers::cloneReadOnly(const std::string& instance) {
  auto tree = kind_ == UpperKind::disk ? mounts::clone(uppers_.get(), instance)
                                       : mounts::clone(AT_FDCWD, kept_ + "/" + instance);
  if (!tree) return tree;
  if (auto done = mounts::restrict(tree->get(), mounts::kReadOnly); !done) return done.error();
  return tree;
}

Status Uppers::drop(const std::string& instance) {
  if (kind_ == UpperKind::disk) {
    auto directory = files::openAt(uppers_.get(), instance, O_RDONLY | O_DIRECTORY, files::Resolve::beneath);
    if (!directory) return directory.error().code == ENOENT ? Status() : Status(directory.error());
    auto project = projectOf(directory->get());
    if (!project) return project.error();
    if (*project != 0) {
      if (auto done = unlimitProject(directory->get(), *project); !done) return done;
    }
    if (auto done = trash_->take(uppers_.get(), instance); !done || !deleting_) return done;
    return trash_->wake();
  }
  const std::string directory = kept_ + "/" + instance;
  if (::access(directory.c_str(), F_OK) != 0) return {};
  if (auto done = mounts::detach(directory); !done) return done;
  if (::rmdir(directory.c_str()) != 0) return errnoError(kStage, "rmdir", directory);
  return {};
}

Status Uppers::startDeleting() {
  deleting_ = true;
  return trash_ ? trash_->wake() : Status();
}

Status Uppers::close() {
  trash_.reset();
  uppers_.reset();
  if (kind_ != UpperKind::disk) return {};
  if (auto done = mounts::detach(pool_); !done) return done;
  return discardPool(image_);
}

}  // namespace cloister::rootfs
