#include "api/cli/interruption.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace cloister::cli {

Interruption::Interruption(std::function<void()> came) : came_(std::move(came)) {
  auto over = streams::Wakeup::make();
  if (!over) throw std::runtime_error(over.error().message());
  over_ = std::move(*over);
  auto signals = streams::terminationSignals();
  if (!signals) throw std::runtime_error(signals.error().message());
  signals_ = std::move(*signals);
  thread_ = std::thread([this] { run(); });
}

Interruption::~Interruption() {
  over_.signal();
  thread_.join();
}

void Interruption::run() {
  for (;;) {
    std::array<streams::Watched, 2> watched{{{signals_.get()}, {over_.fd()}}};
    if (!streams::waitAny(watched, -1) || watched[1].readable) return;
    std::array<char, 1024> taken{};
    const auto got = streams::readSome(signals_.get(), taken.data(), taken.size());
    if (got && got->has_value()) came_();
  }
}

}  // namespace cloister::cli
