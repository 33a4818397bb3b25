variable "cidr" {}
resource "terraform_data" "subnet" {
  count = 2
  input = "${var.cidr}-${count.index}"
  lifecycle {
    postcondition {
      condition     = self.input != ""
      error_message = "empty"
    }
  }
}
module "inner" {
  source = "./inner"
  v      = var.cidr
}
output "ids" { value = terraform_data.subnet[*].id }
