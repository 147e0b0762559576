// The teacher's classes are ranked in the host's sweep.
// expect: limbeck: on<top_of_teacher<k>> ranks the teacher's classes on the host; these rows live on a device
#include <limbeck/limbeck.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> student(6), teacher(6);
  const auto s = lk::on_device(student, 2, 3), t = lk::on_device(teacher, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::objective{lk::on<lk::top_of_teacher<2>>(lk::forward_kl{})}.value(s, t));
#else
  return static_cast<int>(lk::objective{lk::forward_kl{}}.value(s, t));
#endif
}
