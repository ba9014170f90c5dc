// BaseImages: which blob is the base image of a name, as one small file a name (config.h draws the directory).
//
// Threads: any. Failures: std::runtime_error with operation, path and errno; an unknown name has no digest.
#pragma once

#include <string>
#include <vector>

namespace cloister::builds {
class BlobStore;
}

namespace cloister::api {

class BaseImages {
 public:
  explicit BaseImages(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] std::string digest(const std::string& name) const;  // empty: not registered
  [[nodiscard]] std::vector<std::string> digests() const;
  // Makes the file a blob and gives it the name. Idempotent.
  std::string add(const std::string& name, const std::string& image, builds::BlobStore& blobs);

 private:
  std::string directory_;
};

}  // namespace cloister::api
