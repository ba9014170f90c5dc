#include "api/base_images.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "controlplane/builds/blobs.h"
#include "sandbox/base/files.h"
#include "sandbox/base/identity.h"

namespace cloister::api {

std::string BaseImages::digest(const std::string& name) const {
  if (!validLabel(name)) return {};
  const auto text = files::read(directory_ + "/" + name, 4096);
  if (!text) return {};
  const auto digest = text->substr(0, text->find('\n'));
  return validDigest(digest) ? digest : std::string();
}

std::vector<std::string> BaseImages::digests() const {
  std::vector<std::string> out;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, missing)) {
    if (auto found = digest(entry.path().filename().string()); !found.empty()) out.push_back(std::move(found));
  }
  return out;
}

std::string BaseImages::add(const std::string& name, const std::string& image, builds::BlobStore& blobs) {
  if (!validLabel(name)) throw std::runtime_error("base image: \"" + name + "\" is no DNS label");
  std::ifstream in(image, std::ios::binary);
  if (!in) throw std::runtime_error("base image: " + image + " cannot be read");
  const auto blob = blobs.put(in, 0);
  if (const auto made = files::makeDirectories(directory_, 0750); !made) {
    throw std::runtime_error(made.error().message());
  }
  if (const auto written = files::replace(directory_ + "/" + name, blob.digest + "\n", 0640); !written) {
    throw std::runtime_error(written.error().message());
  }
  return blob.digest;
}

}  // namespace cloister::api
