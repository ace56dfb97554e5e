#include "runtime/machine/profile.h"

#include <gtest/gtest.h>

#include "tests/unit/scratch_folder.h"

namespace reef::machine {
namespace {

const Profile kProfile{"a block", {3e9, 2e9, 1e9}, {6e9, 4e9, 5e9}, 7e9};

TEST(ProfileFile, GivesBackWhatItWasGivenByProcessorAndThreads) {
  const ScratchFolder folder;
  const ProfileFile file(folder / "deep");
  EXPECT_TRUE(file.read("here").value().empty());
  Profile faster = kProfile;
  faster.fp32.block = 9e9;
  ASSERT_TRUE(file.keep("here", {{1, kProfile}, {2, kProfile}}).ok());
  ASSERT_TRUE(file.keep("there", {{1, kProfile}}).ok());
  ASSERT_TRUE(file.keep("here", {{2, faster}}).ok());
  EXPECT_EQ(file.read("here").value(), (Profiles{{1, kProfile}, {2, faster}}));
  EXPECT_EQ(file.read("there").value(), (Profiles{{1, kProfile}}));
  EXPECT_TRUE(file.read("elsewhere").value().empty());
}

TEST(ProfileFile, RefusesWhatIsNotOursAndLeavesIt) {
  const ScratchFolder folder;
  const ProfileFile file(folder / "profile.json");
  const std::string rates = R"({"products":1e9,"attention":1e9,"block":1e9})";
  const auto entry = [&rates](const std::string& threads, const std::string& fp32,
                              const std::string& bandwidth) {
    return R"({"format":1,"processors":{"here":{")" + threads + R"(":{"block":"b","fp32":)" + fp32 +
           R"(,"bf16":)" + rates + R"(,"bandwidth":)" + bandwidth + "}}}}";
  };
  put(file.path(), entry("1", rates, "1e9"));
  ASSERT_TRUE(file.read("here").ok());
  for (const std::string& text :
       {std::string("no json"), std::string(R"({"format":2,"processors":{}})"),
        std::string(R"({"format":1})"), entry("0", rates, "1e9"), entry("-1", rates, "1e9"),
        entry("one", rates, "1e9"), entry("1", "{}", "1e9"), entry("1", rates, "0"),
        entry("1", rates, "1e300"), entry("1", rates, "\"fast\"")}) {
    put(file.path(), text);
    const auto read = file.read("here");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, Code::kPath);
    EXPECT_NE(read.error().text().find("atoll topology measure"), std::string::npos);
    EXPECT_FALSE(file.keep("here", {{1, kProfile}}).ok());
    EXPECT_EQ(get(file.path()), text);
  }
}

}  // namespace
}  // namespace reef::machine
