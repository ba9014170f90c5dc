// Apart from sql.cpp, so that the linker takes PostgreSQL's side only into programs that ask for it.
#include "metering/base/sql_session.h"

namespace cloister::metering {

Result<Connection> Connection::open(const std::string& location, std::string stage, Mode mode) {
  if (!location.starts_with("postgresql://") && !location.starts_with("postgres://")) {
    return openFile(location, std::move(stage), mode);
  }
  auto session = sql::openPostgres(location, std::move(stage), mode);
  if (!session) return session.error();
  return Connection(std::move(session).value());
}

}  // namespace cloister::metering
