// SPDX-License-Identifier: Apache-2.0
//
// Runs a fuzz target on stored inputs, without libFuzzer: the corpus is a
// regression test in every build. Each argument is a file, or a folder whose
// files are taken in the order of their names; a path that does not exist is a
// corpus which nobody has filled yet. The empty input always runs first.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::filesystem::path> FilesAt(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_regular_file(path)) files.push_back(path);
  if (!std::filesystem::is_directory(path)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void RunFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(stream), {}};
  std::fprintf(stderr, "%s: %zu bytes\n", path.c_str(), input.size());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

}  // namespace

int main(int argc, char** argv) {
  const uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(&nothing, 0);
  for (int i = 1; i < argc; ++i) {
    for (const auto& file : FilesAt(argv[i])) RunFile(file);
  }
  return 0;
}
