variable "v" {}
resource "terraform_data" "leaf" { input = var.v }
