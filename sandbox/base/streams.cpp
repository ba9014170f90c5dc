#include "sandbox/base/streams.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

namespace cloister::streams {
namespace {

Error failure(std::string_view operation, std::string_view path = {}) {
  return errnoError("streams", operation, path);
}

Result<Terminal> terminalOf(UniqueFd leader, std::uint16_t rows, std::uint16_t columns) {
  if (::unlockpt(leader.get()) != 0) return failure("unlockpt");
  auto follower = openFollower(leader.get());
  if (!follower) return follower.error();
  if (auto done = resizeTerminal(leader.get(), rows, columns); !done) return done.error();
  if (auto done = setNonBlocking(leader.get()); !done) return done.error();
  return Terminal{std::move(leader), std::move(*follower)};
}

}  // namespace

Result<Pipe> makePipe(Blocking blocking) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | (blocking == Blocking::no ? O_NONBLOCK : 0)) != 0) return failure("pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Status setNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return failure("fcntl");
  return {};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return failure("dup");
  return copy;
}

void cutOff(int socket) {
  // One that is not connected any more has nobody who waits.
  [[maybe_unused]] const int done = ::shutdown(socket, SHUT_RDWR);
}

Status openToAll(const Pipe& pipe) {
  // One inode is behind both ends.
  if (::fchmod(pipe.reader.get(), 0666) != 0) return failure("fchmod", "pipe");
  return {};
}

Status makeFifo(const std::string& path, mode_t mode) {
  if (::mkfifo(path.c_str(), mode) != 0 && errno != EEXIST) return failure("mkfifo", path);
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return failure("open", path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return failure("fstat", path);
  if (!S_ISFIFO(status.st_mode)) {
    errno = EEXIST;
    return failure("mkfifo", path);
  }
  if ((status.st_mode & 07777U) != mode && ::fchmod(fd.get(), mode) != 0) return failure("fchmod", path);
  return {};
}

Result<UniqueFd> openFifo(const std::string& path, Blocking blocking) {
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (blocking == Blocking::no ? O_NONBLOCK : 0);
  UniqueFd fd(::open(path.c_str(), flags));
  if (!fd) return failure("open", path);
  return fd;
}

Result<UniqueFd> createFile(const std::string& path, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return failure("open", path);
  if (::fchmod(fd.get(), mode) != 0) return failure("fchmod", path);
  return fd;
}

Status sync(int fd) {
  if (::fsync(fd) != 0) return failure("fsync");
  return {};
}

Result<std::optional<std::size_t>> readSome(int fd, char* buffer, std::size_t capacity) {
  for (;;) {
    const ssize_t got = ::read(fd, buffer, capacity);
    if (got >= 0) return std::optional(static_cast<std::size_t>(got));
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return std::optional<std::size_t>();
    if (errno == EIO) return std::optional<std::size_t>(0);  // a terminal whose last follower is closed
    return failure("read");
  }
}

Result<std::optional<std::size_t>> writeSome(int fd, std::string_view data) {
  for (;;) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put >= 0) return std::optional(static_cast<std::size_t>(put));
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return std::optional<std::size_t>();
    return failure("write");
  }
}

Result<std::size_t> peek(int source, const Pipe& scratch, char* buffer, std::size_t capacity) {
  ssize_t held = -1;
  do {
    held = ::tee(source, scratch.writer.get(), capacity, SPLICE_F_NONBLOCK);
  } while (held < 0 && errno == EINTR);
  if (held < 0) {
    if (errno == EAGAIN) return std::size_t{0};
    return failure("tee");
  }
  std::size_t total = 0;
  while (total < static_cast<std::size_t>(held)) {
    auto got = readSome(scratch.reader.get(), buffer + total, static_cast<std::size_t>(held) - total);
    if (!got) return got.error();
    if (!got->has_value() || **got == 0) {
      errno = EIO;
      return failure("read");
    }
    total += **got;
  }
  return total;
}

bool ended(int pidfd) {
  pollfd item{pidfd, POLLIN, 0};
  return ::poll(&item, 1, 0) > 0;
}

bool awaitEnd(int pidfd, std::chrono::milliseconds patience) {
  pollfd item{pidfd, POLLIN, 0};
  return ::poll(&item, 1, static_cast<int>(patience.count())) > 0;
}

Result<Terminal> openTerminal(std::uint16_t rows, std::uint16_t columns) {
  UniqueFd leader(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!leader) return failure("posix_openpt");
  return terminalOf(std::move(leader), rows, columns);
}

Result<Terminal> openTerminalOf(const char* multiplexer, std::uint16_t rows, std::uint16_t columns) {
  UniqueFd leader(::open(multiplexer, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW));
  if (!leader) return failure("open", multiplexer);
  struct statfs system {};
  if (::fstatfs(leader.get(), &system) != 0) return failure("fstatfs", multiplexer);
  if (system.f_type != DEVPTS_SUPER_MAGIC) {
    errno = EXDEV;
    return failure("open", multiplexer);
  }
  return terminalOf(std::move(leader), rows, columns);
}

Result<UniqueFd> openFollower(int leader) {
  UniqueFd follower(::ioctl(leader, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!follower) return failure("TIOCGPTPEER");
  return follower;
}

Status resizeTerminal(int leader, std::uint16_t rows, std::uint16_t columns) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = columns;
  if (::ioctl(leader, TIOCSWINSZ, &size) != 0) return failure("TIOCSWINSZ");
  return {};
}

Result<Space> freeSpace(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return failure("fstatfs");
  const auto size = static_cast<std::uint64_t>(status.f_frsize);
  return Space{status.f_bavail * size, status.f_ffree, (status.f_blocks - status.f_bfree) * size,
               status.f_type == TMPFS_MAGIC};
}

Status waitAny(std::span<Watched> items, int milliseconds) {
  std::vector<pollfd> polled;
  polled.reserve(items.size());
  for (auto& item : items) {
    short events = 0;
    if (item.want == Want::input || item.want == Want::both) events = POLLIN;
    if (item.want == Want::output || item.want == Want::both) events = static_cast<short>(events | POLLOUT);
    if (item.want == Want::hangup) events = POLLRDHUP;
    polled.push_back({item.fd, events, 0});
    item.readable = item.writable = false;
  }
  const int ready = ::poll(polled.data(), polled.size(), milliseconds);
  if (ready < 0 && errno != EINTR) return failure("poll");
  if (ready <= 0) return {};
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int got = polled[i].revents;
    items[i].readable = (got & (POLLIN | POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
    items[i].writable = (got & (POLLOUT | POLLERR | POLLHUP)) != 0;
  }
  return {};
}

Result<Wakeup> Wakeup::make() {
  Wakeup wakeup;
  wakeup.fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.fd_) return failure("eventfd");
  return wakeup;
}

void Wakeup::signal() const {
  const std::uint64_t one = 1;
  // A full counter wakes as well; nothing else can fail on an eventfd.
  [[maybe_unused]] const ssize_t put = ::write(fd_.get(), &one, sizeof one);
}

void Wakeup::drain() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &count, sizeof count);
}

Result<Poller> Poller::make() {
  Poller poller;
  poller.fd_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!poller.fd_) return failure("epoll_create1");
  return poller;
}

Status Poller::add(int fd, std::uint64_t token, Trigger trigger) const {
  epoll_event event{};
  event.events = EPOLLIN;
  if (trigger == Trigger::edge) event.events |= EPOLLET;
  event.data.u64 = token;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return failure("epoll_ctl");
  return {};
}

void Poller::remove(int fd) const {
  epoll_event event{};
  // A descriptor that is closed already has left the set by itself.
  [[maybe_unused]] const int done = ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, &event);
}

Result<std::vector<std::uint64_t>> Poller::wait(int milliseconds) const {
  std::array<epoll_event, 128> events{};
  const int ready = ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), milliseconds);
  if (ready < 0 && errno != EINTR) return failure("epoll_wait");
  std::vector<std::uint64_t> tokens;
  for (int i = 0; i < ready; ++i) tokens.push_back(events[static_cast<std::size_t>(i)].data.u64);
  return tokens;
}

Result<UniqueFd> terminationSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  const int failed = ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (failed != 0) {
    errno = failed;
    return failure("pthread_sigmask");
  }
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return failure("signalfd");
  return fd;
}

}  // namespace cloister::streams
