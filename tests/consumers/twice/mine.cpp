#include <limbeck/eigen.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/loss/logits/kl.hpp>

double of_equals(const Eigen::MatrixXd& x);
double of_equals(const Eigen::MatrixXd& x) { return limbeck::objective(limbeck::forward_kl{}).value(x, x); }
