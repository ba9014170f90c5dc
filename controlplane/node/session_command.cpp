#include "controlplane/node/session_command.h"

#include <array>
#include <chrono>

#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr int kTickMillis = 500;

}  // namespace

std::string Arguments::add(std::string argument) {
  const std::string which = "argument " + std::to_string(list_.size());
  if (argument.find('\0') != std::string::npos) return which + " contains a NUL byte, which no program can be given";
  if (argument.size() > model::kMostArgumentBytes) {
    return which + " has " + std::to_string(argument.size()) + " bytes: one argument may have " +
           std::to_string(model::kMostArgumentBytes);
  }
  bytes_ += argument.size() + 1;
  if (bytes_ > model::kMostCommandBytes) {
    return "the arguments are too long: together they may have " + std::to_string(model::kMostCommandBytes) +
           " bytes, a zero behind each included";
  }
  if (list_.size() == model::kMostArguments) {
    return "too many arguments: a command may have " + std::to_string(model::kMostArguments);
  }
  list_.push_back(std::move(argument));
  return {};
}

std::optional<SessionCommand> awaitCommand(SessionChannel& channel, const std::atomic<bool>& stopping) {
  const auto refuse = [&](const std::string& why) {
    channel.send(Channel::control, errorMessage(why));
    return std::nullopt;
  };
  SessionCommand command;
  Arguments arguments;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (channel.open() && !stopping) {
    if (std::chrono::steady_clock::now() >= until) return refuse("the command did not come");
    std::array<streams::Watched, 1> watched{{{channel.fd()}}};
    if (!channel.buffered()) {
      const auto waited = streams::waitAny(watched, kTickMillis);
      if (!waited || !watched[0].readable) continue;
    }
    auto frame = channel.receive();
    switch (frame.kind) {
      case Frame::Kind::argument:
        if (const auto fault = arguments.add(std::move(frame.data)); !fault.empty()) return refuse(fault);
        break;
      case Frame::Kind::more:
        command.granted = command.granted.value_or(0) + std::min(frame.bytes, model::kMostGranted);
        break;
      case Frame::Kind::resize:
        command.size = frame.size;
        break;
      case Frame::Kind::start:
        command.arguments = arguments.take();
        if (command.arguments.empty() || command.arguments.front().empty()) return refuse("there is no command");
        return command;
      case Frame::Kind::input:
        return refuse("input came before the command was started");
      case Frame::Kind::inputClosed:
      case Frame::Kind::none:
      case Frame::Kind::closed:
        break;
    }
  }
  return std::nullopt;
}

}  // namespace cloister::node
