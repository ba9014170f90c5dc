#include "metering/base/sql_dialect.h"

#include <gtest/gtest.h>

namespace cloister::metering::sql {
namespace {

constexpr auto kSqlite = Connection::Kind::sqlite;
constexpr auto kPostgres = Connection::Kind::postgres;

TEST(SqlDialect, ParametersAreNumberedOutsideTextAndComments) {
  const std::pair<const char*, const char*> cases[] = {
      {"SELECT ?1, ?12", "SELECT $1, $12"},
      {"VALUES(?, ?, ?)", "VALUES($1, $2, $3)"},
      {"'?1 ''?2''' || ?3", "'?1 ''?2''' || $3"},
      {"\"?\" = ?", "\"?\" = $1"},
      {"?1 -- ?2 '\n?3", "$1 -- ?2 '\n$3"},
      {"/* ? ' */ ?", "/* ? ' */ $1"},
      {"'open ?", "'open ?"},
      {"/* open ?", "/* open ?"},
      {"?", "$1"},
      {"", ""},
  };
  for (const auto& [text, wanted] : cases) EXPECT_EQ(numbered(text), wanted);
}

TEST(SqlDialect, FormsAreSaidInEachDatabasesWords) {
  const struct {
    const char* text;
    const char* sqlite;
    const char* postgres;
  } cases[] = {
      {"a {blob}, b {text}", "a BLOB, b TEXT", "a BYTEA, b BYTEA"},
      {"id {key}", "id INTEGER PRIMARY KEY", "id BIGINT PRIMARY KEY"},
      {"CREATE TABLE a(x BIGINT) {clustered};", "CREATE TABLE a(x BIGINT) WITHOUT ROWID;",
       "CREATE TABLE a(x BIGINT) ;"},
      {"{sqlite:A}{postgres:B {blob}}", "A", "B BYTEA"},
      {"{postgres:'}'}x", "x", "'}'x"},
      {"x IN ({list ?1})", "x IN (SELECT value FROM json_each(?1))", "x IN (SELECT unnest(CAST(?1 AS BIGINT[])))"},
      {"'{blob}' {unknown} {", "'{blob}' {unknown} {", "'{blob}' {unknown} {"},
  };
  for (const auto& [text, sqlite, postgres] : cases) {
    EXPECT_EQ(inDialect(text, kSqlite), sqlite);
    EXPECT_EQ(inDialect(text, kPostgres), postgres);
  }
}

}  // namespace
}  // namespace cloister::metering::sql
