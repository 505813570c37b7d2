// Norms and clipped sums of units over all layouts against units that go through the model alone on
// one process.
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <set>

#include "support/mpi_test.h"
#include "support/private_cases.h"

namespace moesaic {
namespace {

using test::PrivateCase;
using test::PrivateModel;
using test::UnitsAlone;

constexpr std::int64_t kUnits = 7;  // no multiple of micro-batches and ranks

// The sums of a step of all units against those of units clipped one by one.
void expect_sums(PrivateModel& model, const std::vector<at::Tensor>& sums, const UnitsAlone& alone,
                 double clip_norm, const std::string& what) {
  for (const Parameter& p : model.parameters) {
    if (!p.trainable) continue;
    const auto i = static_cast<std::size_t>(p.index);
    EXPECT_TRUE(
        at::allclose(sums[i], test::own_rows(p, alone.clipped_sum(i, clip_norm)), 1e-10, 1e-12))
        << what << ": " << p.name;
  }
}

void expect_norms(const PrivateModel& model, const UnitsAlone& alone, double within,
                  const std::string& what) {
  const std::vector<double> norms = model.norms();
  ASSERT_EQ(norms.size(), alone.norms.size());
  for (std::size_t n = 0; n < norms.size(); ++n)
    EXPECT_NEAR(norms[n] / alone.norms[n], 1, within) << what << ", unit " << n;
}

TEST(Clipping, CasesHaveEveryFamily) {
  std::set<std::string> families;
  for (const PrivateCase& one : test::private_cases()) families.insert(one.arch.model_type);
  for (const std::string& type : arch::model_types()) {
    if (type == "mlp") continue;  // of images
    EXPECT_TRUE(families.contains(type)) << type;
  }
}

TEST(Clipping, NormsAndSumsAreThoseOfSingleUnitsOnEveryLayout) {
  for (const PrivateCase& one : test::private_cases()) {
    const UnitsAlone alone(one, kUnits);
    const double clip_norm = alone.median();
    for (const int expert : one.layouts()) {
      const RankContext context = test::context(expert);
      for (const BlockPass pass : {keep_activations, recompute_activations}) {
        const std::string what = format("{}, expert groups of {}{}", one.name, expert,
                                        pass == keep_activations ? "" : ", computed again");
        PrivateModel model(
            context, one.arch,
            {.rule = {Clipping::kFlat, clip_norm}, .pass = pass, .beside = one.beside});
        const std::vector<at::Tensor> sums = model.sums(test::numbers_below(kUnits), 2);
        expect_norms(model, alone, 1e-10, what);
        expect_sums(model, sums, alone, clip_norm, what);
      }
    }
  }
}

TEST(Clipping, NormsInFloat32AreThoseOfSingleUnits) {
  for (const PrivateCase& one : test::private_cases()) {
    const UnitsAlone alone(one, kUnits, at::kFloat);
    for (const int expert : one.layouts()) {
      const RankContext context = test::context(expert);
      for (const BlockPass pass : {keep_activations, recompute_activations}) {
        PrivateModel model(context, one.arch,
                           {.rule = {Clipping::kFlat, alone.median()},
                            .pass = pass,
                            .beside = one.beside,
                            .dtype = at::kFloat});
        model.sums(test::numbers_below(kUnits), 2);
        expect_norms(model, alone, 1e-5, format("{}, expert groups of {}", one.name, expert));
      }
    }
  }
}

}  // namespace
}  // namespace moesaic
