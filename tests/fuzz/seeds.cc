// Run it after a format has changed: scripts/fuzz --seeds.

#include "tests/fuzz/seeds.h"

#include "runtime/base/file.h"

namespace reef::fuzz {
namespace {

std::filesystem::path corpus;

}  // namespace

void seed(const std::string& target, const std::string& name, BytesView bytes) {
  const Status written = write_file(corpus / target / name, bytes);
  CHECK(written.ok()) << written.error().text();
}
void seed(const std::string& target, const std::string& name, const Output& output) {
  seed(target, name, BytesView(output.bytes()));
}
void seed(const std::string& target, const std::string& name, std::string_view text) {
  seed(target, name, as_bytes(text));
}

}  // namespace reef::fuzz

int main(int count, char** arguments) {
  CHECK_EQ(count, 2) << "usage: fuzz_seeds CORPUS_FOLDER";
  reef::fuzz::corpus = arguments[1];
  reef::fuzz::seed_messages();
  reef::fuzz::seed_files();
  return 0;
}
