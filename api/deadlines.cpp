#include "api/deadlines.h"

#include <Poco/Exception.h>

namespace cloister::api {

Deadlines::Deadlines(std::chrono::seconds head) : head_(head), thread_([this] { run(); }) {}

Deadlines::~Deadlines() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Deadlines::accept(const Poco::Net::StreamSocket& socket) {
  expect(socket, head_);
  return true;
}

void Deadlines::expect(const Poco::Net::StreamSocket& socket, std::chrono::seconds within) {
  const std::scoped_lock lock(mutex_);
  due_.insert_or_assign(socket.impl(), Due{socket, Clock::now() + within});
}

void Deadlines::met(const Poco::Net::StreamSocket& socket) {
  const std::scoped_lock lock(mutex_);
  due_.erase(socket.impl());
}

void Deadlines::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, std::chrono::seconds(1));
    const auto now = Clock::now();
    for (auto due = due_.begin(); due != due_.end();) {
      // Only this map holds the socket: the connection has ended, and the copy here would keep its descriptor open.
      if (due->second.socket.impl()->referenceCount() == 1) {
        due = due_.erase(due);
        continue;
      }
      if (due->second.at > now) {
        ++due;
        continue;
      }
      try {
        due->second.socket.shutdown();
      } catch (const Poco::Exception&) {
        // The peer was faster.
      }
      due = due_.erase(due);
    }
  }
}

}  // namespace cloister::api
