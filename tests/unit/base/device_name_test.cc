#include "runtime/base/device_name.h"

#include <gtest/gtest.h>

#include <string>

namespace reef {
namespace {

TEST(DeviceName, ReadsWhatItWrites) {
  const struct {
    std::string_view text;
    DeviceName name;
  } rows[] = {
      {"cpu", {}}, {"cuda:0", {"cuda", 0}}, {"cuda:3", {"cuda", 3}}, {"a-b_9:255", {"a-b_9", 255}}};
  for (const auto& [text, name] : rows) {
    EXPECT_EQ(parse_device(text).value(), name) << text;
    EXPECT_EQ(name.text(), text);
  }
  EXPECT_EQ(parse_device("cuda").value(), (DeviceName{"cuda", 0}));
}

TEST(DeviceName, RefusesWhatWouldBeNoFilesName) {
  for (const std::string& text :
       {std::string(""), std::string(":0"), std::string("cuda:"), std::string("cuda:-1"),
        std::string("cuda:256"), std::string("cuda:1x"), std::string("cuda:99999999999"),
        std::string("cuda:0:0"), std::string("Cuda"), std::string("../cuda"), std::string("9x"),
        std::string("cpu:0"), std::string(33, 'a')}) {
    const auto refused = parse_device(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().code, Code::kUsage);
    EXPECT_NE(refused.error().what.find("such as cuda:0"), std::string::npos);
  }
  EXPECT_FALSE((DeviceName{"cpu", 1}).is_valid());
}

}  // namespace
}  // namespace reef
