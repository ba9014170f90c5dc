#include "http_client.h"

#include <Poco/DeflatingStream.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/StreamCopier.h>

#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace cloister::testing {

Poco::JSON::Object::Ptr Reply::json() const {
  return Poco::JSON::Parser().parse(body).extract<Poco::JSON::Object::Ptr>();
}

std::string Reply::text(const std::string& member) const {
  try {
    const auto object = json();
    return object->has(member) ? object->get(member).toString() : "";
  } catch (const Poco::Exception&) {
    return "";
  }
}

Reply HttpClient::send(const std::string& method, const std::string& path, const std::string& body,
                       const Headers& headers) const {
  Poco::Net::HTTPClientSession session("127.0.0.1", port_);
  session.setTimeout(Poco::Timespan(70, 0));
  Poco::Net::HTTPRequest request(method, path, Poco::Net::HTTPRequest::HTTP_1_1);
  if (!token_.empty()) request.setCredentials("Bearer", token_);
  if (!body.empty()) request.setContentType("application/json");
  request.setContentLength64(static_cast<Poco::Int64>(body.size()));
  for (const auto& [name, value] : headers) request.set(name, value);
  session.sendRequest(request) << body;
  Poco::Net::HTTPResponse response;
  std::istream& in = session.receiveResponse(response);
  Reply reply;
  reply.status = static_cast<int>(response.getStatus());
  Poco::StreamCopier::copyToString(in, reply.body);
  for (const auto& [name, value] : response) reply.headers[name] = value;
  return reply;
}

std::string planBody(const std::string& name) {
  return R"({"name": ")" + name +
         R"(", "limits": {"memory_bytes": 536870912, "cpu_millis": 1000, "pids": 200, "disk_bytes": 1073741824,
         "inodes": 100000, "network_bits_per_second": 100000000, "instances": 4, "apps": 3,
         "build_memory_bytes": 536870912, "build_disk_bytes": 1073741824, "build_seconds": 600}})";
}

HttpClient makeTenant(const HttpClient& admin, const std::string& name) {
  if (admin.send("GET", "/v1/plans/small").status == 404) {
    const auto plan = admin.send("POST", "/v1/plans", planBody("small"));
    if (plan.status != 201) throw std::runtime_error("plan: " + plan.body);
  }
  const auto tenant = admin.send("POST", "/v1/tenants", R"({"name": ")" + name + R"(", "plan": "small"})");
  if (tenant.status != 201) throw std::runtime_error("tenant: " + tenant.body);
  const auto token = admin.send("POST", "/v1/tokens", R"({"name": "t", "tenant": ")" + name + R"("})");
  if (token.status != 201) throw std::runtime_error("token: " + token.body);
  return {admin.port(), token.text("secret")};
}

std::string tarGz(const std::vector<TarEntry>& entries) {
  std::string tar;
  for (const auto& entry : entries) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    const auto octal = [](std::size_t value, int digits) {
      char text[24];
      std::snprintf(text, sizeof text, "%0*zo", digits, value);
      return std::string(text);
    };
    put(0, entry.name);
    put(100, "0000644");
    put(108, "0001750");
    put(116, "0001750");
    put(124, octal(entry.content.size(), 11));
    put(136, octal(0, 11));
    put(148, "        ");
    header[156] = entry.type;
    put(157, entry.link);
    header.replace(257, 8, std::string("ustar\00000", 8));
    std::size_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6) + std::string(1, '\0'));
    tar += header + entry.content;
    tar.append((512 - entry.content.size() % 512) % 512, '\0');
  }
  tar.append(1024, '\0');
  std::ostringstream out;
  Poco::DeflatingOutputStream gzip(out, Poco::DeflatingStreamBuf::STREAM_GZIP);
  gzip << tar;
  gzip.close();
  return out.str();
}

}  // namespace cloister::testing
