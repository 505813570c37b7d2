#include "accounting/ledger.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "core/fs.h"
#include "core/secure_digest.h"

namespace moesaic::accounting {
namespace {

namespace fs = std::filesystem;

const Event kEvent{2, 1, 1};  // without sampling: computed exactly, at once
constexpr Budget kBudget{8, 1e-6};

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() {
    std::string pattern = (fs::temp_directory_path() / "ledger-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/ledger.json";
  }
  ~LedgerTest() override { fs::remove_all(folder_); }

  Ledger open(const std::string& head = "", std::optional<Budget> budget = kBudget) const {
    return Ledger({path_, {"d1", "sequence", budget}, Accountant::kPld, head});
  }
  std::int64_t charged() const { return total_steps(read_ledger(path_).events); }
  std::string text() const { return read_file(path_); }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  std::string folder_;
  std::string path_;
};

ErrorKind kind_of_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorKind::kInternal;
}

// Steps of kEvent that the budget pays.
std::int64_t affordable() {
  Event event = kEvent;
  while (epsilon_of({event}, kBudget.delta, Accountant::kPld).value <= kBudget.epsilon)
    ++event.steps;
  return event.steps - 1;
}

TEST(SecureDigest, IsBlake2b) {  // of an empty text, as `b2sum -l 256` prints it
  EXPECT_EQ(secure_digest_of(""),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

// A checkpoint has the head: nobody may find by it what the data are.
TEST_F(LedgerTest, TwoOfTheSameDataHaveOtherHeads) {
  const std::string first = open().head();
  EXPECT_EQ(open().head(), first);
  fs::remove(path_);
  EXPECT_NE(open().head(), first);
}

TEST_F(LedgerTest, ChargesUntilTheBudgetIsSpent) {
  const std::int64_t most = affordable();
  ASSERT_GT(most, 3);
  Ledger ledger = open();
  for (std::int64_t step = 0; step < most; ++step) ledger.charge(kEvent);
  const std::string before = text();
  EXPECT_EQ(kind_of_error([&] { ledger.charge(kEvent); }), ErrorKind::kBudget);
  EXPECT_EQ(text(), before);  // nothing charged
  EXPECT_EQ(charged(), most);
  EXPECT_LE(ledger.epsilon(kBudget.delta), kBudget.epsilon);
  EXPECT_EQ(kind_of_error([&] { open().charge(kEvent); }), ErrorKind::kBudget);
}

TEST_F(LedgerTest, SaysWhetherTheBudgetHasRoomAndChargesNothing) {
  const std::int64_t most = affordable();
  Ledger ledger = open(), other = open();
  for (std::int64_t step = 0; step < most; ++step) {
    ledger.require_room(kEvent);
    EXPECT_EQ(charged(), step);
    other.charge(kEvent);
  }
  EXPECT_EQ(kind_of_error([&] { ledger.require_room(kEvent); }), ErrorKind::kBudget);
  EXPECT_EQ(charged(), most);
  fs::remove(path_);
  EXPECT_EQ(kind_of_error([&] { ledger.require_room(kEvent); }), ErrorKind::kCheckpoint);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(LedgerTest, TheFirstStepMayBeTooMuch) {
  Ledger ledger = open("", Budget{0.1, 1e-6});
  EXPECT_EQ(kind_of_error([&] { ledger.charge(kEvent); }), ErrorKind::kBudget);
  EXPECT_EQ(charged(), 0);
}

TEST_F(LedgerTest, SampledStepsAreCountedAsTheVerbDoes) {
  const Event sampled{1, 0.01, 1};
  Ledger ledger = open();
  for (int step = 0; step < 20; ++step) ledger.charge(sampled);
  EXPECT_EQ(ledger.events().size(), 1U);
  EXPECT_EQ(ledger.epsilon(1e-6), epsilon_of({{1, 0.01, 20}}, 1e-6, Accountant::kPld).value);
}

TEST_F(LedgerTest, IsOfItsDataUnitAndBudget) {
  open().charge(kEvent);
  const auto refused = [this](const LedgerTerms& terms) {
    return kind_of_error([&] { Ledger({path_, terms, Accountant::kPld, ""}); });
  };
  EXPECT_EQ(refused({"d2", "sequence", kBudget}), ErrorKind::kRecipe);
  EXPECT_EQ(refused({"d1", "user", kBudget}), ErrorKind::kRecipe);
  EXPECT_EQ(refused({"d1", "sequence", Budget{9, 1e-6}}), ErrorKind::kRecipe);
  EXPECT_EQ(refused({"d1", "sequence", std::nullopt}), ErrorKind::kRecipe);
  EXPECT_EQ(charged(), 1);
}

// Each byte of each line but the last is guarded by the line after it.
TEST_F(LedgerTest, ChangesAreFound) {
  Ledger ledger = open();
  for (int step = 0; step < 4; ++step) ledger.charge(kEvent);
  const std::string whole = text();
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t i = 0; i < last; i += 7) {
    std::string changed = whole;
    changed[i] = changed[i] == '1' ? '2' : '1';
    write(changed);
    EXPECT_FALSE(read_ledger(path_).is_whole()) << i;
    EXPECT_EQ(kind_of_error([&] { open(); }), ErrorKind::kCheckpoint) << i;
  }
  const std::size_t second = whole.find('\n') + 1;
  const std::size_t third = whole.find('\n', second) + 1;
  write(whole.substr(0, second) + whole.substr(third));  // without a line
  EXPECT_FALSE(read_ledger(path_).is_whole());
  write(whole.substr(0, third) + whole.substr(second));  // a line twice
  EXPECT_FALSE(read_ledger(path_).is_whole());
  write(whole);
  EXPECT_TRUE(read_ledger(path_).is_whole());
}

TEST_F(LedgerTest, ACheckpointKnowsTheLedgersEnd) {
  Ledger ledger = open();
  for (int step = 0; step < 3; ++step) ledger.charge(kEvent);
  const std::string head = ledger.head();
  const std::string whole = text();
  EXPECT_EQ(head, secure_digest_of(
                      whole.substr(whole.rfind('\n', whole.size() - 2) + 1,
                                   whole.size() - 1 - (whole.rfind('\n', whole.size() - 2) + 1))));
  open(head).charge(kEvent);  // longer is right
  open(head);
  write(whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1));  // shorter by a line
  EXPECT_EQ(kind_of_error([&] { open(head); }), ErrorKind::kCheckpoint);
  write("");
  EXPECT_EQ(kind_of_error([&] { open(head); }), ErrorKind::kCheckpoint);
  fs::remove(path_);
  EXPECT_EQ(kind_of_error([&] { open(head); }), ErrorKind::kCheckpoint);
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_EQ(kind_of_error([&] { ledger.charge(kEvent); }), ErrorKind::kCheckpoint);
}

TEST_F(LedgerTest, ATornLineIsChargedAndNeverRefunded) {
  Ledger first = open();
  first.charge(kEvent);
  first.charge(kEvent);
  const std::string whole = text();
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t cut = last + 1; cut < whole.size(); cut += 5) {
    write(whole.substr(0, cut));
    EXPECT_FALSE(read_ledger(path_).is_whole());
    Ledger ledger = open();
    ledger.charge(kEvent);
    EXPECT_TRUE(read_ledger(path_).is_whole()) << read_ledger(path_).problem;
    EXPECT_EQ(charged(), 3) << cut;
    EXPECT_TRUE(text().starts_with(whole.substr(0, cut)));
  }
  write(whole.substr(0, whole.size() - 1));  // the newline alone is missing
  open().charge(kEvent);
  EXPECT_EQ(charged(), 3);
}

// The healing of a torn line may be torn itself.
TEST_F(LedgerTest, TornLinesAddUp) {
  Ledger first = open();
  first.charge(kEvent);
  const std::string whole = text();
  write(whole + "{\"noise_mul\n{\"noi");
  open().charge(kEvent);
  EXPECT_EQ(charged(), 4);
  EXPECT_TRUE(read_ledger(path_).is_whole());
  write(whole + "{\"noise_mul\n");
  EXPECT_EQ(kind_of_error([&] { open(); }), ErrorKind::kCheckpoint);
}

TEST_F(LedgerTest, WhatIsNoLedgerIsRefused) {
  for (const char* text : {"{\"ledger\":1", "[]\n", "{}\n", "\n", "{\"ledger\":2}\n",
                           "{\"ledger\":1,\"data\":1,\"unit\":\"u\",\"budget\":null}\n",
                           "{\"ledger\":1,\"data\":\"d1\",\"unit\":\"u\",\"budget\":7}\n"}) {
    write(text);
    EXPECT_EQ(kind_of_error([&] { open(); }), ErrorKind::kCheckpoint) << text;
    EXPECT_FALSE(read_ledger(path_).is_whole()) << text;
  }
  write(std::string(1 << 20, 'x'));
  EXPECT_EQ(kind_of_error([&] { open(); }), ErrorKind::kCheckpoint);
  EXPECT_EQ(kind_of_error([&] { read_ledger(folder_ + "/none"); }), ErrorKind::kData);
  EXPECT_FALSE(fs::exists(folder_ + "/none"));
}

// Runs `work` in a process of its own, which it never leaves.
pid_t in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  try {
    work();
    ::_exit(0);
  } catch (const Error& error) {
    ::_exit(error.exit_code());
  } catch (...) {
    ::_exit(1);
  }
}

int exit_code_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_F(LedgerTest, TwoRunsCannotOverspendItTogether) {
  std::vector<pid_t> children;
  for (int run = 0; run < 3; ++run) {
    children.push_back(in_child([this] {
      Ledger ledger = open();
      for (;;) ledger.charge(kEvent);
    }));
  }
  for (const pid_t child : children)
    EXPECT_EQ(exit_code_of(child), static_cast<int>(ErrorKind::kBudget));
  EXPECT_EQ(charged(), affordable());
  EXPECT_TRUE(read_ledger(path_).is_whole());
}

TEST_F(LedgerTest, AKilledRunRefundsNothing) {
  std::int64_t done = 0;
  for (int time = 0; time < 50; ++time) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = in_child([this, &ends] {
      Ledger ledger = open("", std::nullopt);
      for (;;) {
        ledger.charge(kEvent);
        if (::write(ends[1], "x", 1) != 1) ::_exit(1);  // the step
      }
    });
    ::close(ends[1]);
    char buffer[256];
    if (::read(ends[0], buffer, 1) == 1) ++done;
    ::usleep(static_cast<useconds_t>(time * 137 % 5000));
    ::kill(child, SIGKILL);
    EXPECT_EQ(exit_code_of(child), -SIGKILL);
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) done += got;
    ::close(ends[0]);
    EXPECT_GE(charged(), done);
  }
  open("", std::nullopt).charge(kEvent);
  EXPECT_TRUE(read_ledger(path_).is_whole());
}

}  // namespace
}  // namespace moesaic::accounting
