#include "controlplane/node/process_session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include "controlplane/node/instance_directory.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

constexpr std::size_t kPiece = 32UL * 1024;
constexpr std::uint64_t kMostLast = 1UL << 20U;  // what the largest pipe holds
constexpr int kTickMillis = 500;
constexpr std::chrono::seconds kStatusWait{2};
constexpr int kUnknownExit = 255;
constexpr char kEndOfInput = '\x04';

}  // namespace

Result<ProcessSession> ProcessSession::make(Tty tty, const std::string& statusFile) {
  ProcessSession session;
  session.tty_ = tty;
  session.statusFile_ = statusFile;
  auto status = streams::createFile(statusFile, 0600);
  if (!status) return status.error();
  session.status_ = std::move(status).value();
  if (tty == Tty::yes) return session;
  std::array<UniqueFd*, 3> ours{&session.input_, &session.output_, &session.errors_};
  std::array<UniqueFd*, 3> theirs{&session.theirInput_, &session.theirOutput_, &session.theirErrors_};
  for (std::size_t i = 0; i < 3; ++i) {
    auto pipe = streams::makePipe(streams::Blocking::yes);
    if (!pipe) return pipe.error();
    if (auto done = streams::openToAll(*pipe); !done) return done.error();
    *ours[i] = i == 0 ? std::move(pipe->writer) : std::move(pipe->reader);
    *theirs[i] = i == 0 ? std::move(pipe->reader) : std::move(pipe->writer);
    if (auto done = streams::setNonBlocking(ours[i]->get()); !done) return done.error();
  }
  return session;
}

sandbox::Standard ProcessSession::standard() const {
  return {theirInput_.get(), theirOutput_.get(), theirErrors_.get(), status_.get(), -1};
}

Status ProcessSession::begun(UniqueFd leader) {
  theirInput_.reset();
  theirOutput_.reset();
  theirErrors_.reset();
  status_.reset();
  if (tty_ == Tty::no) return {};
  leader_ = std::move(leader);
  auto kept = streams::openFollower(leader_.get());
  if (!kept) return kept.error();
  kept_ = std::move(*kept);
  return {};
}

void ProcessSession::hangUp() {
  kept_.reset();
  leader_.reset();
  input_.reset();
  output_.reset();
  errors_.reset();
}

void ProcessSession::take(Frame frame) {
  switch (frame.kind) {
    case Frame::Kind::input:
      if (inputClosed_) break;
      if (read_ > 0) held_.erase(0, std::exchange(read_, 0));
      held_ += frame.data;
      break;
    case Frame::Kind::more:
      if (granted_) granted_ = std::min(*granted_, model::kMostGranted) + std::min(frame.bytes, model::kMostGranted);
      break;
    case Frame::Kind::resize:
      if (leader_.valid()) {
        auto done = streams::resizeTerminal(leader_.get(), frame.size.rows, frame.size.columns);
        if (!done) spdlog::debug("{}", done.error().message());
      }
      break;
    case Frame::Kind::inputClosed:
      if (!inputClosed_ && tty_ == Tty::yes) held_ += kEndOfInput;
      inputClosed_ = true;
      break;
    case Frame::Kind::argument:
    case Frame::Kind::start:
    case Frame::Kind::none:
    case Frame::Kind::closed:
      break;
  }
}

void ProcessSession::inputUnread(SessionChannel& channel) {
  read_ = held_.size();
  if (!std::exchange(inputClosed_, true)) channel.send(Channel::control, inputClosedMessage());
}

void ProcessSession::writeInput(SessionChannel& channel) {
  if (read_ < held_.size() && inputFd() >= 0) {
    auto put = streams::writeSome(inputFd(), std::string_view(held_).substr(read_));
    if (!put) {
      inputUnread(channel);
    } else if (put->has_value()) {
      read_ += **put;
      owed_ += **put;
    }
  }
  if (read_ < held_.size()) {
    if (owed_ < model::kWindow / 4) return;
  } else {
    held_.clear();
    read_ = 0;
    if (inputClosed_) input_.reset();
  }
  if (owed_ > 0 && !inputClosed_) channel.send(Channel::control, moreMessage(std::exchange(owed_, 0)));
}

bool ProcessSession::forward(int from, bool& ended, Channel to, SessionChannel& channel) {
  if (from < 0 || ended || !takesMore()) return false;
  std::array<char, kPiece> buffer{};
  const auto most = granted_ ? std::min<std::uint64_t>(*granted_, buffer.size()) : buffer.size();
  auto got = streams::readSome(from, buffer.data(), most);
  if (got && !got->has_value()) return false;
  // A terminal stays open: what closes its leader hangs it up.
  ended = !got || **got == 0;
  if (ended) return false;
  if (granted_) *granted_ -= **got;
  lastBytes_ += **got;
  return channel.send(to, std::string_view(buffer.data(), **got));
}

bool ProcessSession::drain(SessionChannel& channel) {
  // What others write on meanwhile, whom the process left behind, is not waited for.
  while (lastBytes_ < kMostLast && takesMore()) {
    const bool output = forward(outputFd(), outputEnded_, Channel::output, channel);
    const bool errors = forward(errors_.get(), errorsEnded_, Channel::errors, channel);
    if (!output && !errors) return takesMore() || !channel.open();
  }
  return lastBytes_ >= kMostLast;
}

int ProcessSession::exitCode() const {
  // The end of a process is seen before its parent has written it down.
  const auto until = std::chrono::steady_clock::now() + kStatusWait;
  std::string status;
  for (;;) {
    if (auto text = files::read(statusFile_, kMostStatusBytes)) status = parseStatus(text.value());
    if (!status.empty() || std::chrono::steady_clock::now() >= until) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto space = status.find(' ');
  if (space == std::string::npos) return kUnknownExit;
  int code = kUnknownExit;
  std::from_chars(status.data() + space + 1, status.data() + status.size(), code);
  return status.starts_with("signal") ? model::kSignalExit + code : code;
}

std::optional<int> ProcessSession::run(SessionChannel& channel, int pidfd, std::optional<std::uint64_t> granted,
                                       const std::atomic<bool>& stopping) {
  granted_ = granted;
  channel.send(Channel::control, moreMessage(model::kWindow));
  bool over = false;
  while (channel.open() && !stopping) {
    // Only a client that sends more than it was granted is not listened to for a while.
    const bool full = held_.size() - read_ >= model::kWindow;
    std::array<streams::Watched, 5> watched{{
        {channel.fd(), full ? streams::Want::hangup : streams::Want::input},
        {over ? -1 : pidfd},
        {!outputEnded_ && takesMore() ? outputFd() : -1},
        {!errorsEnded_ && takesMore() ? errors_.get() : -1},
        {over ? -1 : inputFd(), read_ < held_.size() ? streams::Want::output : streams::Want::hangup},
    }};
    // A pipe tells when the last who could read it has closed it. A terminal has a follower of ours.
    if (tty_ == Tty::yes && read_ == held_.size()) watched[4].fd = -1;
    const bool buffered = !full && channel.buffered();
    if (auto waited = streams::waitAny(watched, buffered ? 0 : kTickMillis); !waited) {
      spdlog::warn("{}", waited.error().message());
    }
    if (full && watched[0].readable) return std::nullopt;
    if (watched[0].readable || buffered) take(channel.receive());
    if (!over && streams::ended(pidfd)) {
      over = true;
      lastBytes_ = 0;
    }
    if (!over && watched[4].want == streams::Want::hangup && watched[4].readable) inputUnread(channel);
    if (!over) writeInput(channel);
    // Asked before reading: what was written before the end is then in the pipes.
    if (over) {
      if (drain(channel)) return exitCode();
      continue;
    }
    if (watched[2].readable) (void)forward(outputFd(), outputEnded_, Channel::output, channel);
    if (watched[3].readable) (void)forward(errors_.get(), errorsEnded_, Channel::errors, channel);
  }
  return std::nullopt;
}

}  // namespace cloister::node
