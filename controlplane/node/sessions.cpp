#include "controlplane/node/sessions.h"

#include <Poco/Exception.h>
#include <Poco/Net/WebSocket.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <set>

#include "controlplane/node/exception_text.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/log_session.h"
#include "controlplane/node/process_session.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> argvOf(const model::Session& session) {
  return session.argv.empty() ? std::vector<std::string>{"/bin/sh"} : session.argv;
}

std::vector<std::string> sessionEnvironment(const model::DesiredInstance& instance, bool terminal) {
  auto environment = appEnvironment(instance);
  if (terminal) environment.emplace_back("TERM=xterm-256color");
  return environment;
}

Tty ttyOf(const model::Session& session) {
  return session.terminal ? Tty::yes : Tty::no;
}

void fail(SessionChannel& channel, const std::string& why) {
  channel.send(Channel::control, errorMessage(why));
}

}  // namespace

Sessions::Sessions(Places places, Runtime& runtime, const Server& server, FindTarget find)
    : places_(std::move(places)), runtime_(runtime), server_(server), find_(std::move(find)) {
  std::error_code code;
  fs::remove_all(places_.sessions, code);  // no session outlives the node process
  if (auto made = files::makeDirectories(places_.sessions, 0700); !made) spdlog::error("{}", made.error().message());
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
    switch (session.kind) {
      case model::SessionKind::exec:
        exec(session, channel);
        break;
      case model::SessionKind::run:
        if (tenant && tenant->state == model::TenantState::active) {
          run(session, *tenant, channel);
        } else {
          fail(channel, "the tenant is not active");
        }
        break;
      case model::SessionKind::logs:
        LogSession(places_.instances, session).run(channel, stopping_);
        break;
    }
    channel.close();
  } catch (const Poco::Exception& error) {
    spdlog::warn("session {}: {}", session.id, error.displayText());
  } catch (const std::exception& error) {
    spdlog::warn("session {}: {}", session.id, textOf(error));
  }
  std::error_code code;
  fs::remove(statusFile(session.id), code);
}

void Sessions::exec(const model::Session& session, SessionChannel& channel) {
  const auto target = find_(session.instanceId);
  if (!target || target->instance.tenantId != session.tenantId) {
    fail(channel, "instance " + session.instanceId + " does not run");
    return;
  }
  auto process = ProcessSession::make(ttyOf(session), {session.rows, session.columns}, statusFile(session.id));
  if (!process) return fail(channel, process.error().message());
  launcher::ExecRequest request;
  request.instance = target->container;
  request.argv = argvOf(session);
  request.environment = sessionEnvironment(target->instance, session.terminal);
  request.workingDirectory = "/app";
  request.terminal = session.terminal;
  request.writes = writesOf(target->instance);
  request.writable = target->instance.writable;
  auto handle = runtime_.launcher().exec(request, process->standard());
  if (!handle) return fail(channel, handle.error().message());
  process->begun();
  // A client that leaves closes the terminal or the pipes, and with them what only served it.
  if (const auto code = process->run(channel, handle->pidfd.get())) channel.send(Channel::control, exitMessage(*code));
}

void Sessions::run(const model::Session& session, const model::DesiredTenant& tenant, SessionChannel& channel) {
  auto process = ProcessSession::make(ttyOf(session), {session.rows, session.columns}, statusFile(session.id));
  if (!process) return fail(channel, process.error().message());
  model::DesiredInstance instance = session.runInstance;
  if (instance.id.empty()) instance.id = session.id;
  instance.tenantId = session.tenantId;
  const std::string container = containerId(session.id, 1);
  auto request = appRequest(tenant, instance, container);
  request.argv = argvOf(session);
  request.environment = sessionEnvironment(instance, session.terminal);
  auto started = runtime_.start(tenant, request, process->standard(), meteredAs(instance));
  if (!started) return fail(channel, started.error().message());
  process->begun();
  const int pidfd = started->descriptor(launcher::DescriptorKind::pid);
  const auto code = process->run(channel, pidfd);
  if (auto done = runtime_.finish(container, pidfd); !done) spdlog::warn("{}: {}", container, done.error().message());
  if (code) channel.send(Channel::control, exitMessage(*code));
}

}  // namespace cloister::node
