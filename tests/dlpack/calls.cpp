// What numpy_exchange.py calls through ctypes: DLPack's structs in, DLPack's structs out.

#include <limbeck/dlpack.hpp>

#include <cstdio>
#include <vector>

namespace lk = limbeck;

/// Writes the gradient to @p gradient and returns the loss, or NaN with the reason in @p reason (of 200 bytes).
extern "C" double limbeck_test_kl(const DLManagedTensor* student, const DLManagedTensor* teacher,
                                  DLManagedTensor* gradient, char* reason) {
  try {
    const lk::objective kl{lk::at_temperature(4.0, lk::forward_kl{})};
    return kl(*student, *teacher, lk::into(*gradient)).loss;
  } catch (const std::exception& e) {
    std::snprintf(reason, 200, "%s", e.what());
    return std::numeric_limits<double>::quiet_NaN();
  }
}

/// The losses of the rows, in memory that the caller owns from now on.
extern "C" DLManagedTensor* limbeck_test_row_losses(const DLManagedTensor* student, const DLManagedTensor* teacher) {
  const lk::objective kl{lk::at_temperature(4.0, lk::forward_kl{})};
  std::vector<float> losses(lk::as_any_tensor(student->dl_tensor).rows<const float>().samples);
  kl.value(*student, *teacher, lk::row_losses(losses), lk::sum);
  return lk::to_dlpack(std::move(losses));
}
