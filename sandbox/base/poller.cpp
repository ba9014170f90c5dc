#include "sandbox/base/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstdint>

namespace cloister {
namespace {

constexpr std::size_t kAtOnce = 256;

epoll_event eventOf(Interest interest, void* subject) {
  epoll_event event{};
  event.events = interest == Interest::read ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
  event.data.ptr = subject;
  return event;
}

}  // namespace

Result<Poller> Poller::open() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errnoError("poll", "epoll_create1");
  UniqueFd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) return errnoError("poll", "eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, bell.get(), &event) != 0) return errnoError("poll", "epoll_ctl");
  return Poller(std::move(epoll), std::move(bell));
}

Status Poller::watch(int fd, Interest interest, void* subject) {
  auto event = eventOf(interest, subject);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errnoError("poll", "epoll_ctl");
  return {};
}

Status Poller::change(int fd, Interest interest, void* subject) {
  auto event = eventOf(interest, subject);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return errnoError("poll", "epoll_ctl");
  return {};
}

void Poller::forget(int fd) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

std::span<const Poller::Ready> Poller::wait(std::chrono::milliseconds most) {
  std::array<epoll_event, kAtOnce> events{};
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(most.count()));
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    const auto& event = events.at(static_cast<std::size_t>(i));
    if (event.data.ptr == nullptr) {
      std::uint64_t knocks = 0;
      (void)!::read(bell_.get(), &knocks, sizeof knocks);
      continue;
    }
    ready_.push_back({event.data.ptr, (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
  return ready_;
}

void Poller::knock() {
  const std::uint64_t one = 1;
  (void)!::write(bell_.get(), &one, sizeof one);
}

Result<UniqueFd> acceptWaiting(int listener, sockaddr_storage& source) {
  socklen_t length = sizeof source;
  UniqueFd fd(::accept4(listener, static_cast<sockaddr*>(static_cast<void*>(&source)), &length, SOCK_CLOEXEC));
  if (!fd) return errnoError("poll", "accept4");
  return fd;
}

}  // namespace cloister
