#include "tests/integration/metering/postgres_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char* kUser = "nobody";

[[noreturn]] void child(const std::vector<std::string>& command, const std::string& log) {
  if (::geteuid() == 0) {
    const passwd* user = ::getpwnam(kUser);
    if (user == nullptr || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0) ::_exit(126);
  }
  // Also when the test is killed.
  ::prctl(PR_SET_PDEATHSIG, SIGINT);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments.front(), arguments.data());
  ::_exit(127);
}

void run(const std::string& location, const std::string& sql) {
  PGconn* connection = PQconnectdb(location.c_str());
  PGresult* result = PQexec(connection, sql.c_str());
  const bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
  const std::string reason = PQerrorMessage(connection);
  PQclear(result);
  PQfinish(connection);
  if (!good) throw std::runtime_error(sql + ": " + reason);
}

}  // namespace

std::string PostgresServer::binaries() {
  const fs::path root = "/usr/lib/postgresql";
  std::string newest;
  int version = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    const int number = std::atoi(entry.path().filename().c_str());
    if (number <= version || !fs::exists(entry.path() / "bin/postgres") || !fs::exists(entry.path() / "bin/initdb")) {
      continue;
    }
    version = number;
    newest = (entry.path() / "bin").string();
  }
  return newest;
}

PostgresServer::PostgresServer(Reach reach) : reach_(reach) {
  std::string pattern = (fs::temp_directory_path() / "cloister-postgres-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  directory_ = pattern;
  if (::geteuid() == 0) {
    const passwd* user = ::getpwnam(kUser);
    if (user == nullptr || ::chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("chown " + directory_);
    }
  }
  const pid_t made = spawn({binaries() + "/initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth-local=trust",
                            "--auth-host=scram-sha-256", "--username=cloister", "-D", directory_ + "/data"});
  int status = 0;
  if (::waitpid(made, &status, 0) != made || status != 0) throw std::runtime_error("initdb: " + endOfLog());
  start();
}

PostgresServer::~PostgresServer() {
  if (postmaster_ > 0) {
    resume();
    ::kill(postmaster_, SIGINT);
    ::waitpid(postmaster_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

pid_t PostgresServer::spawn(const std::vector<std::string>& command) const {
  const pid_t pid = ::fork();
  if (pid == 0) child(command, directory_ + "/log");
  return pid;
}

void PostgresServer::start() {
  for (int attempt = 0; attempt < patient(1200); ++attempt) {
    if (postmaster_ <= 0) {
      // Only what this test must fix is set: fsync and synchronous_commit are as a real server has them. After a crash
      // the server would sync each file of the tests' many databases by itself: a minute on a busy machine.
      postmaster_ = spawn({binaries() + "/postgres", "-D", directory_ + "/data", "-k", directory_, "-c",
                           reach_ == Reach::socket ? "listen_addresses=" : "listen_addresses=127.0.0.1", "-c",
                           "max_connections=40", "-c", "recovery_init_sync_method=syncfs"});
    }
    std::this_thread::sleep_for(milliseconds(50));
    if (PQping(database("postgres").c_str()) == PQPING_OK) return;
    // After a crash the last children may still hold the shared memory.
    if (::waitpid(postmaster_, nullptr, WNOHANG) == postmaster_) postmaster_ = -1;
  }
  throw std::runtime_error("PostgreSQL does not start: " + endOfLog());
}

void PostgresServer::setPassword(const std::string& password) const {
  run(database("postgres"), "ALTER ROLE cloister PASSWORD '" + password + "'");
}

std::string PostgresServer::endOfLog() const {
  std::ifstream file(directory_ + "/log");
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  return all.substr(all.size() - std::min<std::size_t>(all.size(), 2000));
}

void PostgresServer::crash() {
  ::kill(postmaster_, SIGKILL);
  ::waitpid(postmaster_, nullptr, 0);
  postmaster_ = -1;
}

std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> found{postmaster_};
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "status");
    std::string word;
    while (file >> word && word != "PPid:") {
    }
    pid_t parent = 0;
    if (file >> parent && parent == postmaster_) found.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return found;
}

void PostgresServer::pause() const {
  for (const pid_t pid : processes()) ::kill(pid, SIGSTOP);
}
void PostgresServer::resume() const {
  for (const pid_t pid : processes()) ::kill(pid, SIGCONT);
}

std::string PostgresServer::createPlace() {
  const auto name = "place" + std::to_string(++places_);
  run(database("postgres"), "CREATE SCHEMA " + name);
  return name;
}

std::string PostgresServer::location(const std::string& place, const std::string& settings,
                                     const std::string& parameters) const {
  return locationBehind(directory_, place, settings) + parameters;
}

std::string PostgresServer::locationBehind(const std::string& socketDirectory, const std::string& place,
                                           const std::string& settings) const {
  std::string options = "&options=-c%20search_path%3D" + place;
  if (!settings.empty()) {
    const auto equals = settings.find('=');
    options += "%20-c%20" + settings.substr(0, equals) + "%3D" + settings.substr(equals + 1);
  }
  return "postgresql://cloister@/postgres?host=" + socketDirectory + options;
}

std::string PostgresServer::database(const std::string& name) const {
  return "postgresql://cloister@/" + name + "?host=" + directory_;
}

namespace {

std::unique_ptr<PostgresServer>& shared() {
  static std::unique_ptr<PostgresServer> server;
  return server;
}

}  // namespace

PostgresServer& sharedPostgres() {
  if (!shared()) shared() = std::make_unique<PostgresServer>();
  return *shared();
}

void stopSharedPostgres() {
  shared().reset();
}

}  // namespace cloister::test
