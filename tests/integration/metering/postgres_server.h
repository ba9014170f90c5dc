// A real PostgreSQL server of the tests' own: its data and its socket in a scratch directory, its processes those of a
// user without privileges, no TCP; gone with the object.
//
// Threads: one. Failures: std::runtime_error.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloister::test {

class PostgresServer {
 public:
  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The newest of Debian's packages that is installed; empty: none.
  [[nodiscard]] static std::string binaries();

  void start();
  // kill -9 of the postmaster; its children end by themselves.
  void crash();
  // SIGSTOP and SIGCONT of all its processes.
  void pause() const;
  void resume() const;

  // A new and empty database.
  [[nodiscard]] std::string createDatabase();
  void dropDatabase(const std::string& name);
  // "postgresql://..." of a database; the socket may be another's that leads here.
  [[nodiscard]] std::string location(const std::string& database, const std::string& options = "") const;
  [[nodiscard]] std::string locationBehind(const std::string& socketDirectory, const std::string& database,
                                           const std::string& options = "") const;
  [[nodiscard]] std::string socket() const { return directory_ + "/.s.PGSQL.5432"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  [[nodiscard]] std::vector<pid_t> processes() const;
  [[nodiscard]] pid_t spawn(const std::vector<std::string>& command) const;

  std::string directory_;
  pid_t postmaster_ = -1;
  unsigned databases_ = 0;
};

// One for the whole binary, made by the first that asks.
[[nodiscard]] PostgresServer& sharedPostgres();
void stopSharedPostgres();

}  // namespace cloister::test
