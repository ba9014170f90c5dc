#include "api/problem.h"

#include <Poco/JSON/Object.h>
#include <Poco/Net/HTTPResponse.h>

#include <sstream>

#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

// What a caller sent comes back in them.
constexpr std::size_t kMostDetail = 2000;
constexpr std::size_t kMostField = 200;

}  // namespace

Problem notFound(const std::string& what) {
  return {404, "not_found", what + " not found"};
}

Problem invalidField(const std::string& field, const std::string& detail) {
  return {400, "invalid_field", field + " " + detail, field};
}

Problem unacceptable(const std::string& code, const std::string& field, const std::string& detail) {
  return {422, code, detail, field};
}

const char* reasonPhrase(int status) {
  // Poco knows all but the younger ones by their usual name.
  if (status == 413) return "Content Too Large";
  return Poco::Net::HTTPResponse::getReasonForStatus(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status)).c_str();
}

std::string toJson(const Problem& problem, const std::string& requestId) {
  Poco::JSON::Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("type", "urn:cloister:problem:" + problem.code);
  object.set("title", std::string(reasonPhrase(problem.status)));
  object.set("status", problem.status);
  object.set("code", problem.code);
  if (!problem.detail.empty()) object.set("detail", utf8::shortened(problem.detail, kMostDetail));
  if (!problem.field.empty()) object.set("field", utf8::shortened(problem.field, kMostField));
  object.set("request_id", requestId);
  std::ostringstream out;
  object.stringify(out);
  return utf8::jsonText(out.str());
}

}  // namespace cloister::api
