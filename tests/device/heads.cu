// Compiled, never run: heads, tensors of 16 bits, and tensors whose type is known at run time.
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

// Hidden states and weights of bfloat16, by CUDA's name and by Limbeck's; nobody waits.
void head(const thrust::device_vector<__nv_bfloat16>& hidden, const thrust::device_vector<lk::bfloat16>& weights,
          const thrust::device_vector<float>& bias, const thrust::device_vector<int>& labels, std::size_t n, std::size_t classes,
          std::size_t width, thrust::device_vector<lk::bfloat16>& hidden_gradient, thrust::device_vector<float>& weights_gradient,
          lk::device_workspace& ws, lk::device_result& result) {
  const lk::objective ce{lk::cross_entropy{}};
  ce(lk::logits_of(lk::on_device(hidden, n, width), lk::on_device(weights, classes, width), bias), labels,
     lk::into(lk::head_gradient(lk::on_device(hidden_gradient, n, width), lk::on_device(weights_gradient, classes, width))), ws,
     lk::deferred(result));
}

// Types of their own, and an output of half the student's size.
double mixed(const __half* student, const thrust::device_vector<float>& teacher, __half* gradient, std::size_t n, std::size_t c) {
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  return kl(lk::on_device(thrust::device_pointer_cast(student), n, c), lk::on_device(teacher, n, c),
            lk::into(lk::on_device(thrust::device_pointer_cast(gradient), n, c)));
}

// Where the student lives, and there alone.
double run_time(const lk::any_tensor& student, const lk::any_tensor& teacher, const lk::any_tensor& gradient, cudaStream_t stream) {
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  lk::any_workspace either(stream);
  lk::device_workspace ws(stream);
  return kl(student, teacher, lk::into(gradient), either).loss + kl.value(student, teacher, ws);
}
