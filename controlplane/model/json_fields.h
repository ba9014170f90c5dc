// Reading and writing JSON objects field by field, with errors that name the field: the codecs' common ground.
//
// Private to controlplane/model. Threads: values. Failures: Poco::DataFormatException("field: what is wrong").
#pragma once

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sandbox/base/utf8.h"

namespace cloister::model::json {

// One object being read. An absent field keeps its default, except a required one; a wrong type is an error.
class Fields {
 public:
  Fields(Poco::JSON::Object::Ptr object, std::string path) : object_(std::move(object)), path_(std::move(path)) {}

  // What an earlier version kept or sent with bytes that are no UTF-8 is mended: one bad letter voids no document.
  [[nodiscard]] static Fields parse(const std::string& text) {
    Poco::JSON::Parser parser;
    parser.setDepth(16);
    Poco::Dynamic::Var root;
    try {
      root = parser.parse(utf8::valid(text) ? text : utf8::mended(text));
    } catch (const Poco::Exception& error) {
      throw Poco::DataFormatException("not JSON: " + error.displayText());
    }
    if (root.type() != typeid(Poco::JSON::Object::Ptr)) throw Poco::DataFormatException("not a JSON object");
    return {root.extract<Poco::JSON::Object::Ptr>(), ""};
  }

  [[nodiscard]] bool has(const char* field) const { return object_->has(field); }
  void required(const char* field, std::string& value) const {
    read(field, value);
    if (value.empty()) fail(field, "is required");
  }
  void read(const char* field, std::string& value) const {
    const auto found = object_->get(field);
    if (found.isEmpty()) return;
    if (!found.isString()) fail(field, "must be a string");
    value = found.extract<std::string>();
  }
  void read(const char* field, bool& value) const {
    const auto found = object_->get(field);
    if (found.isEmpty()) return;
    if (!found.isBoolean()) fail(field, "must be true or false");
    value = found.extract<bool>();
  }
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void read(const char* field, T& value) const {
    const auto found = object_->get(field);
    if (!found.isEmpty()) value = integer<T>(found, field);
  }
  // An enum written by its name; `parse` is one of the functions of model.h.
  template <typename E>
  void read(const char* field, E& value, std::optional<E> (*parseName)(const std::string&)) const {
    std::string text;
    read(field, text);
    if (text.empty()) return;
    const auto parsed = parseName(text);
    if (!parsed) fail(field, "has an unknown value");
    value = *parsed;
  }
  void read(const char* field, std::vector<std::string>& list) const {
    forEach(field, [&](const Poco::Dynamic::Var& item) {
      if (!item.isString()) fail(field, "must be a list of strings");
      list.push_back(item.extract<std::string>());
    });
  }
  void read(const char* field, std::vector<std::uint32_t>& list) const {
    forEach(field, [&](const Poco::Dynamic::Var& item) { list.push_back(integer<std::uint32_t>(item, field)); });
  }
  void read(const char* field, std::map<std::string, std::string>& map) const {
    if (const auto object = child(field)) map = object->textMap();
  }
  template <typename T, typename F>
  void readList(const char* field, std::vector<T>& list, F decode) const {
    std::size_t index = 0;
    forEach(field, [&](const Poco::Dynamic::Var& item) {
      const auto where = path_ + field + "[" + std::to_string(index++) + "].";
      if (item.type() != typeid(Poco::JSON::Object::Ptr)) fail(field, "must be a list of objects");
      list.push_back(decode(Fields(item.extract<Poco::JSON::Object::Ptr>(), where)));
    });
  }
  // As readList(), but an item that does not decode is left out and told in `refused`: the others are not its fault.
  // `R` is {list, id, tenant id, reason}.
  template <typename T, typename R, typename F>
  void readEach(const char* field, std::vector<T>& list, std::vector<R>& refused, F decode) const {
    std::size_t index = 0;
    forEach(field, [&](const Poco::Dynamic::Var& item) {
      const auto where = path_ + field + "[" + std::to_string(index++) + "]";
      if (item.type() != typeid(Poco::JSON::Object::Ptr)) {
        refused.push_back(R{field, "", "", where + " is not an object"});
        return;
      }
      const Fields in(item.extract<Poco::JSON::Object::Ptr>(), where + ".");
      try {
        list.push_back(decode(in));
      } catch (const Poco::Exception& error) {
        refused.push_back(R{field, in.textOr("id"), in.textOr("tenantId"), error.message()});
      }
    });
  }
  [[nodiscard]] std::string textOr(const char* field, const std::string& otherwise = {}) const {
    const auto found = object_->get(field);
    return found.isString() ? found.extract<std::string>() : otherwise;
  }
  [[nodiscard]] std::optional<Fields> child(const char* field) const {
    const auto found = object_->get(field);
    if (found.isEmpty()) return std::nullopt;
    if (found.type() != typeid(Poco::JSON::Object::Ptr)) fail(field, "must be an object");
    return Fields(found.extract<Poco::JSON::Object::Ptr>(), path_ + field + ".");
  }
  [[nodiscard]] std::map<std::string, std::string> textMap() const {
    std::map<std::string, std::string> map;
    for (const auto& [key, value] : *object_) {
      if (!value.isString()) fail(key.c_str(), "must be a string");
      map[key] = value.extract<std::string>();
    }
    return map;
  }
  [[nodiscard]] std::map<std::string, std::int64_t> countMap() const {
    std::map<std::string, std::int64_t> map;
    for (const auto& [key, value] : *object_) map[key] = integer<std::int64_t>(value, key.c_str());
    return map;
  }
  [[noreturn]] void fail(const char* field, const char* what) const {
    throw Poco::DataFormatException(path_ + field + " " + what);
  }

 private:
  template <typename T>
  [[nodiscard]] T integer(const Poco::Dynamic::Var& found, const char* field) const {
    if (!found.isInteger() || found.isBoolean()) fail(field, "must be an integer");
    try {
      return found.convert<T>();
    } catch (const Poco::Exception&) {
      fail(field, "is out of range");
    }
  }
  template <typename F>
  void forEach(const char* field, F visit) const {
    const auto found = object_->get(field);
    if (found.isEmpty()) return;
    if (found.type() != typeid(Poco::JSON::Array::Ptr)) fail(field, "must be a list");
    for (const auto& item : *found.extract<Poco::JSON::Array::Ptr>()) visit(item);
  }

  Poco::JSON::Object::Ptr object_;
  std::string path_;
};

inline Poco::JSON::Object::Ptr object() {
  return new Poco::JSON::Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

inline Poco::JSON::Array::Ptr array(const std::vector<std::string>& list) {
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto& item : list) out->add(item);
  return out;
}

inline Poco::JSON::Array::Ptr array(const std::vector<std::uint32_t>& list) {
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto item : list) out->add(item);
  return out;
}

template <typename T, typename F>
Poco::JSON::Array::Ptr array(const std::vector<T>& list, F encode) {
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto& item : list) out->add(encode(item));
  return out;
}

template <typename T>
Poco::JSON::Object::Ptr objectOf(const std::map<std::string, T>& map) {
  auto out = object();
  for (const auto& [key, value] : map) out->set(key, value);
  return out;
}

inline std::string text(const Poco::JSON::Object::Ptr& value) {
  std::ostringstream out;
  value->stringify(out);
  return utf8::jsonText(out.str());
}

}  // namespace cloister::model::json
