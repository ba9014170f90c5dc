#include "controlplane/model/json.h"

#include "controlplane/model/json_fields.h"

namespace cloister::model {

std::string toJson(const Manifest& manifest) {
  auto out = json::object();
  out->set("base", manifest.base);
  out->set("buildCommands", json::array(manifest.buildCommands));
  auto files = json::object();
  for (const auto& [command, list] : manifest.buildFiles) files->set(std::to_string(command), json::array(list));
  out->set("buildFiles", files);
  out->set("processes", json::objectOf(manifest.processes));
  out->set("healthPath", manifest.healthPath);
  out->set("settleMillis", manifest.settleMillis);
  out->set("memoryBytes", manifest.memoryBytes);
  out->set("cpuMillis", manifest.cpuMillis);
  out->set("diskBytes", manifest.diskBytes);
  out->set("pids", manifest.pids);
  out->set("immutable", manifest.immutable);
  out->set("writable", json::array(manifest.writable));
  return json::text(out);
}

std::string toJson(const std::map<std::string, std::string>& map) {
  return json::text(json::objectOf(map));
}
std::string toJson(const std::map<std::string, std::int64_t>& map) {
  return json::text(json::objectOf(map));
}

std::string toJson(const std::vector<PostureCheck>& checks) {
  auto out = json::object();
  out->set("checks", json::array(checks, [](const PostureCheck& check) {
             auto item = json::object();
             item->set("name", check.name);
             item->set("state", check.state);
             item->set("reason", check.reason);
             return item;
           }));
  return json::text(out);
}

Manifest manifestFromJson(const std::string& text) {
  const auto in = json::Fields::parse(text);
  Manifest manifest;
  in.read("base", manifest.base);
  in.read("buildCommands", manifest.buildCommands);
  if (const auto files = in.child("buildFiles")) {
    for (std::size_t i = 0; i < manifest.buildCommands.size(); ++i) {
      const auto name = std::to_string(i);
      if (files->has(name.c_str())) files->read(name.c_str(), manifest.buildFiles[i]);
    }
  }
  in.read("processes", manifest.processes);
  in.read("healthPath", manifest.healthPath);
  in.read("settleMillis", manifest.settleMillis);
  in.read("memoryBytes", manifest.memoryBytes);
  in.read("cpuMillis", manifest.cpuMillis);
  in.read("diskBytes", manifest.diskBytes);
  in.read("pids", manifest.pids);
  in.read("immutable", manifest.immutable);
  in.read("writable", manifest.writable);
  return manifest;
}

std::string toJson(const std::vector<BuildStep>& steps) {
  auto out = json::object();
  out->set("steps", json::array(steps, [](const BuildStep& step) {
             auto item = json::object();
             item->set("commands", step.commands);
             item->set("sourceDigest", step.sourceDigest);
             item->set("treeDigest", step.treeDigest);
             return item;
           }));
  return json::text(out);
}

std::vector<BuildStep> buildStepsFromJson(const std::string& text) {
  std::vector<BuildStep> steps;
  json::Fields::parse(text).readList("steps", steps, [](const json::Fields& in) {
    BuildStep step;
    in.read("commands", step.commands);
    in.read("sourceDigest", step.sourceDigest);
    in.read("treeDigest", step.treeDigest);
    return step;
  });
  return steps;
}

std::map<std::string, std::string> textMapFromJson(const std::string& text) {
  return json::Fields::parse(text).textMap();
}

std::map<std::string, std::int64_t> countMapFromJson(const std::string& text) {
  return json::Fields::parse(text).countMap();
}

std::vector<PostureCheck> postureFromJson(const std::string& text) {
  std::vector<PostureCheck> checks;
  json::Fields::parse(text).readList("checks", checks, [](const json::Fields& in) {
    PostureCheck check;
    in.required("name", check.name);
    in.read("state", check.state);
    in.read("reason", check.reason);
    return check;
  });
  return checks;
}

}  // namespace cloister::model
