// Compiled, never run: the rows of targets on a device.
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

// Three teachers, each as sure as it is of the label.
void by_confidence(const thrust::device_vector<float>& a, const thrust::device_vector<float>& b, const thrust::device_vector<float>& c,
                   const thrust::device_vector<int>& labels, thrust::device_vector<float>& out, std::size_t samples,
                   std::size_t classes, lk::device_workspace& ws) {
  const auto three = lk::mean_of_probabilities(lk::on_device(a, samples, classes), lk::on_device(b, samples, classes),
                                               lk::on_device(c, samples, classes));
  lk::fill(three.weighted(lk::confidence_weights{}).at_temperature(4), lk::on_device(out, samples, classes), labels, ws);
}

// Between the student and a teacher.
void between(const thrust::device_vector<double>& teacher, const thrust::device_vector<double>& student,
             thrust::device_vector<double>& out, std::size_t samples, std::size_t classes) {
  const auto target = lk::interpolated(lk::on_device(teacher, samples, classes), lk::cosine(0.4, 1));
  lk::fill(target, lk::on_device(out, samples, classes), lk::on_device(student, samples, classes), lk::progress(0.5));
}
