#include "api/problem.h"

#include <Poco/JSON/Object.h>
#include <Poco/Net/HTTPResponse.h>

#include <sstream>

namespace cloister::api {

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
  if (!problem.detail.empty()) object.set("detail", problem.detail);
  if (!problem.field.empty()) object.set("field", problem.field);
  object.set("request_id", requestId);
  std::ostringstream out;
  object.stringify(out);
  return out.str();
}

}  // namespace cloister::api
