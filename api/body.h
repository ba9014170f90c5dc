// Body: the JSON object of a write, read member by member; what nobody asked for is refused by name.
//
// Threads: one. Failures: Problem 400 (malformed_json with line and column, missing_field, invalid_field,
// unknown_field).
#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace cloister::api {

class Body {
 public:
  // An empty text is an empty object: verbs without arguments may send none.
  explicit Body(const std::string& text);

  [[nodiscard]] std::string text(const std::string& name);
  [[nodiscard]] std::optional<std::string> optionalText(const std::string& name);
  [[nodiscard]] std::optional<std::int64_t> optionalInteger(const std::string& name);  // zero or more
  [[nodiscard]] std::optional<bool> optionalBoolean(const std::string& name);
  [[nodiscard]] std::vector<std::string> optionalTexts(const std::string& name);  // a list of strings
  [[nodiscard]] Body object(const std::string& name);
  // Members as {name: value}; a null is nullopt.
  [[nodiscard]] std::map<std::string, std::optional<std::string>> texts();
  [[nodiscard]] std::map<std::string, std::int64_t> integers();
  // Call when all has been read and before anything is done: throws unknown_field.
  void finish() const;

 private:
  Body(Poco::JSON::Object::Ptr object, std::string path) : object_(std::move(object)), path_(std::move(path)) {}
  [[nodiscard]] Poco::Dynamic::Var member(const std::string& name);
  [[nodiscard]] std::int64_t integer(const std::string& name, const Poco::Dynamic::Var& value) const;

  Poco::JSON::Object::Ptr object_;
  std::string path_;
  std::set<std::string> read_;
};

}  // namespace cloister::api
