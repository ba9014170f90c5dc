#include "sandbox/rootfs/layers.h"

#include <fcntl.h>
#include <sched.h>
#include <sodium/crypto_hash_sha256.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"
#include "sandbox/base/process.h"
#include "sandbox/rootfs/erofs_image.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "layer";
constexpr mode_t kImageMode = 0440;
constexpr std::uint64_t kLayerAttributes = mounts::kReadOnly | mounts::kNoSuid | mounts::kNoDev;

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

// Copies all of `from` to `to`; the digest is of what was written.
Result<std::string> copyHashed(int from, int to) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  std::vector<char> buffer(1U << 20U);
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(from, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errnoError(kStage, "read", "image");
    if (got == 0) break;
    const auto size = static_cast<std::size_t>(got);
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(buffer.data()), size);
    if (auto wrote = files::writeAll(to, {buffer.data(), size}); !wrote) return wrote.error();
    offset += got;
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256_final(&state, digest.data());
  return hexadecimal(digest.data(), digest.size());
}

}  // namespace

Status writeIdMaps(pid_t pid, TenantIndex tenant) {
  const std::string map = "0 " + std::to_string(firstUid(tenant)) + " " + std::to_string(kUidsPerTenant) + "\n";
  if (auto done = files::writeControl(process::procPath(pid, "uid_map"), map); !done) return done;
  return files::writeControl(process::procPath(pid, "gid_map"), map);
}

Layers::Layers(std::string store, std::string mnt, gid_t readers)
    : store_(std::move(store)), mnt_(std::move(mnt)), readers_(readers) {
  stage_ = mnt_ + "/stage";
}

Status Layers::shareStore() const {
  auto directory = files::openDirectory(store_);
  if (!directory) return directory.error();
  const auto share = [&](const char* name, mode_t mode) -> Status {
    if (::fchownat(directory->get(), name, 0, readers_, AT_SYMLINK_NOFOLLOW) != 0) {
      return errnoError(kStage, "chown", store_ + "/" + name);
    }
    if (::fchmodat(directory->get(), name, mode, 0) != 0) return errnoError(kStage, "chmod", store_ + "/" + name);
    return {};
  };
  auto names = files::names(store_);
  if (!names) return names.error();
  for (const auto& name : *names) {
    if (!validDigest(name)) continue;
    if (auto done = share(name.c_str(), kImageMode); !done) return done;
  }
  return share(".", 0750);
}

Result<std::unique_ptr<Layers>> Layers::open(const std::string& store, const std::string& run, gid_t readers) {
  const std::string mnt = run + "/mnt";
  if (auto made = files::makeDirectories(store, 0700); !made) return made.error();
  if (auto made = files::makeDirectories(mnt, 0711); !made) return made.error();
  if (::unshare(CLONE_NEWNS) != 0) return errnoError(kStage, "unshare", "mount namespace");
  if (auto done = mounts::makePrivate(); !done) return done.error();
  auto workshop = mounts::make("tmpfs", {{"mode", "0711"}, {"size", "1m"}}, mounts::kNoSuid | mounts::kNoDev);
  if (!workshop) return workshop.error();
  auto target = files::openDirectory(mnt);
  if (!target) return target.error();
  if (auto done = mounts::attach(workshop->get(), target->get(), mnt); !done) return done.error();
  for (const char* part : {"/layers", "/stage"}) {
    // A child steps through these as root of its own user namespace, a stranger here: search permission is all it gets.
    if (auto made = files::makeDirectories(mnt + part, 0711); !made) return made.error();
  }
  std::unique_ptr<Layers> layers(new Layers(store, mnt, readers));
  if (auto done = layers->shareStore(); !done) return done.error();
  return layers;
}

Status Layers::mount(const std::string& digest, int file) {
  if (auto there = ensure(digest); there || there.error().code != ENOENT) return there;
  if (auto fetched = fetch(digest, file); !fetched) return fetched;
  return mountImage(digest);
}

Status Layers::fetch(const std::string& digest, int file) const {
  const std::string temporary = store_ + "/." + digest + ".new";
  ::unlink(temporary.c_str());
  auto copy = files::openAt(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL, files::Resolve::anywhere, kImageMode);
  if (!copy) return copy.error();
  auto actual = copyHashed(file, copy->get());
  Status done;
  if (!actual) {
    done = actual.error();
  } else if (*actual != digest) {
    done = Error{std::string(kStage), "verify", digest, EBADMSG};
  } else if (auto good = checkErofs(copy->get(), digest); !good) {
    done = good;
  } else if (::fchown(copy->get(), 0, readers_) != 0) {
    done = errnoError(kStage, "chown", temporary);
  } else if (::fsync(copy->get()) != 0) {
    done = errnoError(kStage, "fsync", temporary);
  } else if (::rename(temporary.c_str(), (store_ + "/" + digest).c_str()) != 0) {
    done = errnoError(kStage, "rename", temporary);
  }
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Status Layers::ensure(const std::string& digest) {
  if (::access((mnt_ + "/layers/" + digest).c_str(), F_OK) == 0) return {};
  if (::access((store_ + "/" + digest).c_str(), F_OK) != 0) return errnoError(kStage, "find", digest);
  return mountImage(digest);
}

Status Layers::mountImage(const std::string& digest) {
  const std::string path = store_ + "/" + digest;
  auto image = files::openAt(AT_FDCWD, path, O_RDONLY);
  if (!image) return image.error();
  if (auto good = checkErofs(image->get(), digest); !good) return good;
  auto mounted = mountErofs(path, kLayerAttributes);
  if (!mounted) return mounted.error();
  const std::string directory = mnt_ + "/layers/" + digest;
  if (auto made = files::makeDirectories(directory, 0700); !made) return made;
  auto target = files::openDirectory(directory);
  Status done = target ? mounts::attach(mounted->get(), target->get(), directory) : Status(target.error());
  if (!done) ::rmdir(directory.c_str());
  return done;
}

Status Layers::release(const std::string& digest) {
  const std::string directory = mnt_ + "/layers/" + digest;
  if (::access(directory.c_str(), F_OK) == 0) {
    if (auto done = mounts::detach(directory); !done) return done;
    if (::rmdir(directory.c_str()) != 0) return errnoError(kStage, "rmdir", directory);
  }
  if (::unlink((store_ + "/" + digest).c_str()) != 0 && errno != ENOENT) return errnoError(kStage, "unlink", digest);
  return {};
}

Result<int> Layers::tenantNamespace(TenantIndex tenant) {
  if (const auto found = userns_.find(tenant); found != userns_.end()) return found->second.get();
  // The child holds the namespace until the descriptor below does. It waits for the end of a pipe of which we have the
  // only other end, so it is gone with us whatever ends us.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errnoError(kStage, "pipe2");
  const UniqueFd waits(ends[0]);
  UniqueFd holds(ends[1]);
  auto child = process::cloneProcess(CLONE_NEWUSER, -1);
  if (!child) return child.error();
  if (child->pid == 0) {
    holds.reset();
    char byte = 0;
    ::_exit(::read(waits.get(), &byte, 1) == 0 ? 0 : 1);
  }
  Status mapped = writeIdMaps(child->pid, tenant);
  auto space = files::openAt(AT_FDCWD, process::procPath(child->pid, "ns/user"), O_RDONLY);
  holds.reset();
  ::waitpid(child->pid, nullptr, 0);
  if (!mapped) return mapped.error();
  if (!space) return space.error();
  return userns_.emplace(tenant, std::move(*space)).first->second.get();
}

Result<UniqueFd> Layers::clone(const std::string& digest, TenantIndex tenant) {
  auto space = tenantNamespace(tenant);
  if (!space) return space.error();
  auto tree = mounts::clone(AT_FDCWD, mnt_ + "/layers/" + digest);
  if (!tree) return tree;
  if (auto done = mounts::idMap(tree->get(), *space); !done) {
    if (done.error().code != EINVAL) return done.error();
    return Error{std::string(kStage), "id-map erofs (Linux 5.19 or later is needed)", digest, EINVAL};
  }
  return tree;
}

}  // namespace cloister::rootfs
