#include "api/body.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Parser.h>

#include "api/json_syntax.h"
#include "api/problem.h"

namespace cloister::api {
namespace {

Poco::JSON::Object::Ptr parseObject(const std::string& text) {
  if (text.empty()) return new Poco::JSON::Object;
  if (const auto fault = checkJsonSyntax(text)) {
    throw Problem(
        400, "malformed_json",
        "line " + std::to_string(fault->line) + ", column " + std::to_string(fault->column) + ": " + fault->reason);
  }
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(kMaxJsonDepth + 1);
    const auto root = parser.parse(text);
    if (root.type() == typeid(Poco::JSON::Object::Ptr)) return root.extract<Poco::JSON::Object::Ptr>();
  } catch (const Poco::Exception& error) {
    throw Problem(400, "malformed_json", error.displayText());
  }
  throw Problem(400, "malformed_json", "line 1, column 1: the body must be an object");
}

}  // namespace

Body::Body(const std::string& text) : object_(parseObject(text)) {}

Poco::Dynamic::Var Body::member(const std::string& name) {
  read_.insert(name);
  return object_->get(name);
}

std::string Body::text(const std::string& name) {
  if (!object_->has(name)) throw Problem(400, "missing_field", path_ + name + " is required", path_ + name);
  return optionalText(name).value_or("");
}

std::optional<std::string> Body::optionalText(const std::string& name) {
  if (!object_->has(name)) return std::nullopt;
  const auto value = member(name);
  if (!value.isString()) throw invalidField(path_ + name, "must be a string");
  return value.extract<std::string>();
}

std::int64_t Body::integer(const std::string& name, const Poco::Dynamic::Var& value) const {
  if (value.isEmpty() || !value.isInteger() || value.isBoolean())
    throw invalidField(path_ + name, "must be an integer");
  try {
    const auto number = value.convert<std::int64_t>();
    if (number >= 0) return number;
  } catch (const Poco::Exception&) {
    throw invalidField(path_ + name, "is out of range");
  }
  throw invalidField(path_ + name, "must not be negative");
}

std::optional<std::int64_t> Body::optionalInteger(const std::string& name) {
  if (!object_->has(name)) return std::nullopt;
  return integer(name, member(name));
}

std::optional<bool> Body::optionalBoolean(const std::string& name) {
  if (!object_->has(name)) return std::nullopt;
  const auto value = member(name);
  if (!value.isBoolean()) throw invalidField(path_ + name, "must be true or false");
  return value.extract<bool>();
}

std::vector<std::string> Body::optionalTexts(const std::string& name) {
  std::vector<std::string> texts;
  if (!object_->has(name)) return texts;
  const auto value = member(name);
  if (value.type() != typeid(Poco::JSON::Array::Ptr)) throw invalidField(path_ + name, "must be a list of strings");
  for (const auto& item : *value.extract<Poco::JSON::Array::Ptr>()) {
    if (!item.isString()) throw invalidField(path_ + name, "must be a list of strings");
    texts.push_back(item.extract<std::string>());
  }
  return texts;
}

Body Body::object(const std::string& name) {
  if (!object_->has(name)) throw Problem(400, "missing_field", path_ + name + " is required", path_ + name);
  const auto value = member(name);
  if (value.type() != typeid(Poco::JSON::Object::Ptr)) throw invalidField(path_ + name, "must be an object");
  return {value.extract<Poco::JSON::Object::Ptr>(), path_ + name + "."};
}

std::map<std::string, std::optional<std::string>> Body::texts() {
  std::map<std::string, std::optional<std::string>> out;
  for (const auto& [name, value] : *object_) {
    read_.insert(name);
    if (value.isEmpty()) {
      out[name] = std::nullopt;
    } else if (value.isString()) {
      out[name] = value.extract<std::string>();
    } else {
      throw invalidField(path_ + name, "must be a string or null");
    }
  }
  return out;
}

std::map<std::string, std::int64_t> Body::integers() {
  std::map<std::string, std::int64_t> out;
  for (const auto& [name, value] : *object_) {
    read_.insert(name);
    out[name] = integer(name, value);
  }
  return out;
}

void Body::finish() const {
  for (const auto& [name, value] : *object_) {
    if (!read_.contains(name)) throw Problem(400, "unknown_field", path_ + name + " is not known here", path_ + name);
  }
}

}  // namespace cloister::api
