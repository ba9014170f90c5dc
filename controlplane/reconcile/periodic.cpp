#include "controlplane/reconcile/periodic.h"

#include <spdlog/spdlog.h>

namespace cloister::reconcile {

Periodic::Periodic(std::string name, std::chrono::milliseconds pause, std::function<void()> body)
    : name_(std::move(name)), pause_(pause), body_(std::move(body)), thread_([this] { run(); }) {}

Periodic::~Periodic() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Periodic::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      body_();
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", name_, error.what());
    }
    lock.lock();
    wake_.wait_for(lock, pause_, [this] { return stopping_; });
  }
}

}  // namespace cloister::reconcile
