#include "controlplane/node/sessions.h"

#include <Poco/Exception.h>
#include <Poco/Net/WebSocket.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>
#include <system_error>

#include "controlplane/node/exception_text.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/log_session.h"
#include "controlplane/node/log_store.h"
#include "controlplane/node/mebibytes.h"
#include "controlplane/node/process_session.h"
#include "sandbox/base/files.h"
#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlaceExtension = ".in";  // of the file that names an exec's container
constexpr std::chrono::seconds kHangUpGrace{2};
constexpr int kKilledExit = model::kSignalExit + SIGKILL;
constexpr std::string_view kInitStage = "init";  // of cloister-init's own reports

std::vector<std::string> sessionEnvironment(const model::DesiredInstance& instance, bool terminal) {
  auto environment = appEnvironment(instance);
  if (terminal) environment.emplace_back("TERM=xterm-256color");
  return environment;
}

std::string whyNotStarted(const Error& error) {
  const std::string program = printable(error.path);
  switch (error.code) {
    case ENOENT:
      return program + ": no such program in the container";
    case EACCES:
      return program + ": not executable: it is a directory, or has no execute permission";
    case ENOEXEC:
      return program +
             ": not executable: neither a program of this machine nor a script that names its interpreter (#!)";
    case E2BIG:
      return "the arguments and the app's environment together are longer than the kernel takes (2 MiB)";
    default:
      return program + ": not executable: " + std::generic_category().message(error.code);
  }
}

std::string outOfMemory(std::uint64_t limit) {
  return "killed: out of memory; the instance may have " + mebibytes(limit) + ", commands in it included";
}

Tty ttyOf(const model::Session& session) {
  return session.terminal ? Tty::yes : Tty::no;
}

launcher::TerminalSize terminalOf(const model::Session& session, const SessionCommand& command) {
  if (!session.terminal) return {};
  const Resize size = command.size.value_or(Resize{session.rows, session.columns});
  return {std::max<std::uint16_t>(size.rows, 1), size.columns};
}

void fail(SessionChannel& channel, const std::string& why) {
  channel.send(Channel::control, errorMessage(why));
}

// A program that is not there or cannot be executed is the caller's matter, as in a shell; all else is ours.
void failStart(SessionChannel& channel, const Error& error) {
  const bool program = error.stage == kInitStage && error.operation == "execve";
  // cloister-init itself is executed with the same arguments.
  if (!program && error.code != E2BIG) return fail(channel, error.message());
  channel.send(Channel::control, refusalMessage(error.code == ENOENT ? model::kNotFoundExit : model::kNotExecutableExit,
                                                whyNotStarted(error)));
}

}  // namespace

Sessions::Sessions(Places places, Runtime& runtime, const Server& server, FindTarget find)
    : places_(std::move(places)), runtime_(runtime), server_(server), find_(std::move(find)) {
  if (auto made = files::makeDirectories(places_.sessions, 0700); !made) spdlog::error("{}", made.error().message());
}

void Sessions::endLeft() {
  std::error_code code;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(places_.sessions, code)) left.push_back(entry.path());
  for (const auto& path : left) {
    if (path.extension() == kPlaceExtension) {
      if (const auto container = files::read(path.string(), 256)) endExec(*container, path.stem().string());
    }
    fs::remove(path, code);
  }
}

Sessions::~Sessions() {
  stopping_ = true;
  std::map<std::string, std::unique_ptr<Entry>> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(entries_);
  }
  for (auto& [id, entry] : entries) entry->thread.join();
}

std::string Sessions::statusFile(const std::string& session) const {
  return places_.sessions + "/" + session;
}

std::string Sessions::placeFile(const std::string& session) const {
  return places_.sessions + "/" + session + kPlaceExtension;
}

Status Sessions::notePlace(const std::string& session, const std::string& container) const {
  auto file = streams::createFile(placeFile(session), 0600);
  return file ? files::writeAll(file->get(), container) : Status(file.error());
}

void Sessions::apply(const model::NodeWork& work) {
  std::set<std::string> named;
  for (const auto& session : work.sessions) named.insert(session.id);
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second->ended && !named.contains(it->first)) {
      it->second->thread.join();
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
  for (const auto& session : work.sessions) {
    if (entries_.contains(session.id) || !validInstanceId(session.id) || entries_.size() >= kAtOnce) continue;
    std::optional<model::DesiredTenant> tenant;
    for (const auto& candidate : work.tenants) {
      if (candidate.id == session.tenantId) tenant = candidate;
    }
    auto entry = std::make_unique<Entry>();
    entry->tenantId = session.tenantId;
    auto* raw = entry.get();
    entry->thread = std::thread([this, raw, session, tenant] {
      serve(session, tenant);
      raw->ended = true;
    });
    entries_.emplace(session.id, std::move(entry));
  }
}

bool Sessions::uses(const std::string& tenantId) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (!entry->ended && entry->tenantId == tenantId) return true;
  }
  return false;
}

void Sessions::serve(const model::Session& session, const std::optional<model::DesiredTenant>& tenant) {
  try {
    SessionChannel channel(server_.joinSession(session.id));
    if (session.kind == model::SessionKind::logs) {
      LogSession(places_.instances, session).run(channel, stopping_);
    } else if (const auto command = awaitCommand(channel, stopping_)) {
      if (session.kind == model::SessionKind::exec) {
        exec(session, *command, channel);
      } else if (tenant && tenant->state == model::TenantState::active) {
        run(session, *tenant, *command, channel);
      } else {
        fail(channel, "the tenant is not active");
      }
    }
    channel.close();
  } catch (const Poco::Exception& error) {
    spdlog::warn("session {}: {}", session.id, error.displayText());
  } catch (const std::exception& error) {
    spdlog::warn("session {}: {}", session.id, textOf(error));
  }
  std::error_code code;
  fs::remove(statusFile(session.id), code);
  fs::remove(placeFile(session.id), code);
}

void Sessions::exec(const model::Session& session, const SessionCommand& command, SessionChannel& channel) {
  const auto target = find_(session.instanceId);
  if (!target || target->instance.tenantId != session.tenantId) {
    fail(channel, "instance " + session.instanceId + " does not run");
    return;
  }
  auto process = ProcessSession::make(ttyOf(session), statusFile(session.id));
  if (!process) return fail(channel, process.error().message());
  if (auto noted = notePlace(session.id, target->container); !noted) return fail(channel, noted.error().message());
  launcher::ExecRequest request;
  request.instance = target->container;
  request.exec = session.id;
  request.argv = command.arguments;
  request.environment = sessionEnvironment(target->instance, session.terminal);
  request.workingDirectory = "/app";
  request.terminal = terminalOf(session, command);
  request.writes = writesOf(target->instance);
  request.writable = target->instance.writable;
  const auto before = runtime_.meter().limitHits(target->container).oomKills;
  auto handle = runtime_.launcher().exec(request, process->standard());
  if (!handle) return failStart(channel, handle.error());
  std::optional<int> code;
  if (auto done = process->begun(std::move(handle->terminal)); !done) {
    fail(channel, done.error().message());
  } else {
    code = process->run(channel, handle->pidfd.get(), command.granted, stopping_);
  }
  if (code) {
    const auto after = *code == kKilledExit ? runtime_.meter().limitHits(target->container).oomKills : before;
    channel.send(Channel::control,
                 exitMessage(*code, after > before ? outOfMemory(target->instance.limits.memoryBytes) : ""));
    return;
  }
  // Nobody waits for it any more. What the end of its terminal or pipes does not end gets no further grace.
  process->hangUp();
  (void)streams::awaitEnd(handle->pidfd.get(), kHangUpGrace);
  endExec(target->container, session.id);
}

void Sessions::endExec(const std::string& container, const std::string& session) {
  auto done = runtime_.launcher().endExec({container, session});
  if (!done) spdlog::warn("session {}: {}", session, done.error().message());
}

void Sessions::run(const model::Session& session, const model::DesiredTenant& tenant, const SessionCommand& command,
                   SessionChannel& channel) {
  auto process = ProcessSession::make(ttyOf(session), statusFile(session.id));
  if (!process) return fail(channel, process.error().message());
  model::DesiredInstance instance = session.runInstance;
  if (instance.id.empty()) instance.id = session.id;
  instance.tenantId = session.tenantId;
  const std::string container = containerId(session.id, 1);
  auto request = appRequest(tenant, instance, container);
  request.argv = command.arguments;
  request.environment = sessionEnvironment(instance, session.terminal);
  request.terminal = terminalOf(session, command);
  auto started = runtime_.start(tenant, request, process->standard(), meteredAs(instance));
  if (!started) return failStart(channel, started.error());
  const int pidfd = started->descriptor(launcher::DescriptorKind::pid);
  std::optional<int> code;
  if (auto done = process->begun(started->take(launcher::DescriptorKind::terminal)); !done) {
    fail(channel, done.error().message());
  } else {
    code = process->run(channel, pidfd, command.granted, stopping_);
  }
  const bool killed = code == kKilledExit && runtime_.meter().limitHits(container).oomKills > 0;
  if (auto done = runtime_.finish(container, pidfd); !done) spdlog::warn("{}: {}", container, done.error().message());
  if (code) {
    channel.send(Channel::control, exitMessage(*code, killed ? outOfMemory(instance.limits.memoryBytes) : ""));
  }
}

}  // namespace cloister::node
