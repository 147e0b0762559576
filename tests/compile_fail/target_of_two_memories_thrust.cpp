// What a target reads lives where its tensors do, and so do the student of a call and the output of fill.
// expect: limbeck: the teachers of an ensemble live in different memory (host and device)
// expect: limbeck: the weights of the teachers live in another memory (host or device) than the teachers
// expect: limbeck: the tensors of a target live in another memory (host or device) than the student
// expect: limbeck: this class map is the host's and the teacher lives on a device
// expect: limbeck: the class map lives in another memory (host or device) than the teacher
// expect: limbeck: out lives in another memory (host or device) than the target
// expect: limbeck: the student lives in another memory (host or device) than the target
// expect: limbeck: the labels live in another memory (host or device) than the target
// expect: limbeck: fill takes a workspace for rows on the host, a device_workspace for rows on a device
// expect: limbeck: this function reads its tensors on the host, and one of them lives on a device
#include <limbeck/limbeck.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

double use();
double use() {
  thrust::device_vector<float> memory(6), other(6);
  thrust::device_vector<int> labels(2);
  std::vector<float> copy(6), out(6);
  std::vector<int> copied_labels(2);
  const lk::class_map<float> map;
  const lk::device_class_map<float> columns(map);
  const auto device = lk::on_device(memory, 2, 3);
  const lk::rows<const float> host(copy.data(), 2, 3);
  lk::workspace ws;
#ifndef LIMBECK_CONTROL
  (void)lk::mean_of_logits(host, device);
  (void)lk::mean_of_logits(host, host, host).weighted(lk::routed(device));
  const double value = lk::objective{lk::mse{}}.value(device, lk::mean_of_logits(host));
  (void)lk::class_mapped(device, map);
  (void)lk::class_mapped(host, columns.view());
  lk::fill(lk::mean_of_logits(host), lk::on_device(other, 2, 3));
  lk::fill(lk::interpolated(host, 0.5), lk::rows<float>(out.data(), 2, 3), device);
  lk::fill(lk::interpolated(device, 0.5), lk::on_device(other, 2, 3), device, copied_labels, ws);
  std::vector<float> weights(2);
  lk::wttm_row_weights(device, 2, weights);
#else
  (void)lk::mean_of_logits(device, device, device).weighted(lk::routed(device));
  const double value = lk::objective{lk::mse{}}.value(host, lk::mean_of_logits(host), ws);
  (void)lk::class_mapped(device, columns.view());
  lk::device_workspace dws;
  lk::fill(lk::interpolated(device, 0.5), lk::on_device(other, 2, 3), device, labels, dws);
#endif
  return value;
}
