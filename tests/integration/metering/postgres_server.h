// A real PostgreSQL server of the tests' own: its data and its socket in a scratch directory, its processes those of a
// user without privileges; gone with the object. By its socket it trusts everyone; by TCP it wants the password.
//
// Threads: one. Failures: std::runtime_error.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloister::test {

class PostgresServer {
 public:
  // `loopback`: also at 127.0.0.1:5432, so the test has a network namespace of its own.
  enum class Reach { socket, loopback };
  explicit PostgresServer(Reach reach = Reach::socket);
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The newest of Debian's packages that is installed; empty: none.
  [[nodiscard]] static std::string binaries();

  void start();
  // For TCP; kept as SCRAM-SHA-256 wants it.
  void setPassword(const std::string& password) const;
  // kill -9 of the postmaster; its children end by themselves.
  void crash();
  // SIGSTOP and SIGCONT of all its processes.
  void pause() const;
  void resume() const;

  // A new and empty place for tables: a schema, which costs no checkpoint as a database would.
  [[nodiscard]] std::string createPlace();
  // "postgresql://..." of a place: `settings` as "name=value", `parameters` as "&name=value".
  [[nodiscard]] std::string location(const std::string& place, const std::string& settings = "",
                                     const std::string& parameters = "") const;
  // By another's socket that leads here.
  [[nodiscard]] std::string locationBehind(const std::string& socketDirectory, const std::string& place,
                                           const std::string& settings = "") const;
  [[nodiscard]] std::string database(const std::string& name) const;
  [[nodiscard]] std::string socket() const { return directory_ + "/.s.PGSQL.5432"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  [[nodiscard]] std::vector<pid_t> processes() const;
  [[nodiscard]] std::string endOfLog() const;
  [[nodiscard]] pid_t spawn(const std::vector<std::string>& command) const;

  const Reach reach_;
  std::string directory_;
  pid_t postmaster_ = -1;
  unsigned places_ = 0;
};

// One for the whole binary, made by the first that asks.
[[nodiscard]] PostgresServer& sharedPostgres();
void stopSharedPostgres();

}  // namespace cloister::test
