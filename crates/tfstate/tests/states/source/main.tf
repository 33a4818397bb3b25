# What Terraform 1.11.4 made the states of: `apply` gives before.tfstate; `apply -var rev=2 -var secret=hunter3
# -var 'zones=["b","c"]'` gives after.tfstate; `taint 'terraform_data.counted[1]'` gives tainted.tfstate. The
# other state, other.tfstate, has one sensitive output, "remote_secret". format3.tfstate and deposed.tfstate
# are written by hand.

variable "rev" { default = 1 }
variable "zones" {
  type    = list(string)
  default = ["a", "b"]
}
variable "secret" {
  default   = "hunter2"
  sensitive = true
}
resource "terraform_data" "one" { input = { rev = var.rev, name = "näme <&> \u2028", list = [1, 2.5, 1e20, true, null] } }
resource "terraform_data" "counted" {
  count = 2
  input = count.index + var.rev
}
resource "terraform_data" "each" {
  for_each = toset(var.zones)
  input    = each.key
}
resource "terraform_data" "each_odd" {
  for_each = toset(["a.b/c\"d", "${"$"}{x}"])
  input    = each.key
}
resource "terraform_data" "secret" { input = { user = "admin", password = var.secret, nested = { keys = [var.secret, "open"] } } }
data "terraform_remote_state" "self" {
  backend = "local"
  config  = { path = "${path.module}/other.tfstate" }
}
module "net" {
  source   = "./mod"
  for_each = toset(["eu"])
  cidr     = each.key
}
check "fine" {
  assert {
    condition     = var.rev > 0
    error_message = "rev must be positive"
  }
}
output "rev" { value = var.rev }
output "secret" {
  value     = var.secret
  sensitive = true
}
output "object" { value = { a = [1, "two"], b = null } }
output "password_of" {
  value     = terraform_data.secret.output.password
  sensitive = true
}

resource "terraform_data" "gone" {
  count = var.rev == 1 ? 1 : 0
}
resource "terraform_data" "mail" {
  input            = "kept"
  triggers_replace = var.rev
  lifecycle { create_before_destroy = true }
}
