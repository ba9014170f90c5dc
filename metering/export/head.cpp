#include "metering/export/head.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include "metering/export/statement.h"

namespace cloister::metering {
namespace {

std::string signedText(const PublishedHead& head) {
  return "cloister-head\t1\t" + escapeField(head.tenantId) + '\t' + std::to_string(head.rows) + '\t' +
         escapeField(head.hash) + '\t' + escapeField(head.recordedAt);
}

// Thrown and caught in this file: the JSON boundary.
struct Refused {
  Error error;
};

Poco::Dynamic::Var member(const Poco::JSON::Object& object, const std::string& name) {
  const auto value = object.get(name);
  if (value.isEmpty()) throw Refused{Error{"head", "is missing", name, 0}};
  return value;
}

std::string textOf(const Poco::JSON::Object& object, const std::string& name) {
  const auto value = member(object, name);
  if (!value.isString()) throw Refused{Error{"head", "must be a string", name, 0}};
  return value.extract<std::string>();
}

}  // namespace

void sign(PublishedHead& head, const SigningKey& key) {
  head.signature = key.sign(signedText(head));
}

bool isSignedBy(const std::string& publicKey, const PublishedHead& head) {
  return isSignedBy(publicKey, signedText(head), head.signature);
}

Result<PublishedHead> headFromJson(const std::string& json) {
  try {
    const auto parsed = Poco::JSON::Parser().parse(json);
    if (parsed.type() != typeid(Poco::JSON::Object::Ptr)) return Error{"head", "must be a JSON object", "head", 0};
    const auto& object = *parsed.extract<Poco::JSON::Object::Ptr>();
    PublishedHead head;
    head.tenantId = textOf(object, "tenant_id");
    const auto rows = member(object, "rows");
    if (!rows.isInteger() || rows.type() == typeid(Poco::UInt64) || rows < 0)
      return Error{"head", "must be a whole number", "rows", 0};
    head.rows = rows.convert<std::uint64_t>();
    head.hash = textOf(object, "hash");
    head.recordedAt = textOf(object, "recorded_at");
    head.signature = textOf(object, "signature");
    return head;
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const Poco::Exception& error) {
    return Error{"head", "is no JSON: " + error.displayText(), "head", 0};
  }
}

}  // namespace cloister::metering
