// The whole use of Limbeck with nothing but the standard library: plain memory in, a loss and a gradient out.
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace lk = limbeck;

int main() {
  const std::vector<float> student{1.0F, 2.0F, 3.0F, 0.5F, 0.5F, 4.0F};
  const std::vector<float> teacher{1.5F, 1.0F, 3.5F, 0.0F, 1.0F, 2.0F};
  std::vector<float> gradient(student.size());

  const auto objective = 1.0 * lk::at_temperature(2.0, lk::forward_kl{});
  lk::workspace workspace;
  const auto result = objective(lk::rows<const float>(student.data(), 2, 3), lk::rows<const float>(teacher.data(), 2, 3),
                                lk::into(lk::rows<float>(gradient.data(), 2, 3)), workspace);
  std::printf("loss %g, first gradient %g\n", result.loss, static_cast<double>(gradient[0]));
  return std::isfinite(result.loss) && result.loss > 0 ? 0 : 1;
}
