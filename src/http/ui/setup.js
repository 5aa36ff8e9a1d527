// The first administrator's page: takes the token from the address and registers the account.

import { keepTokens, post } from "/ui/session.js";

const form = document.getElementById("setup");
const error = document.getElementById("setup-error");
const token = new URLSearchParams(location.search).get("token");
// The token must not stay in the history or go into a referrer.
history.replaceState(null, "", "/setup");

if (!token) {
  error.textContent = "The address carries no token. Use the one that the server printed.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  const fields = new FormData(form);
  const wanted = Object.fromEntries(fields.entries());
  const answer = await post("/api/auth/register", { ...wanted, setup_token: token ?? "" });
  if (answer.ok) {
    keepTokens(answer.body);
    location.assign("/");
  } else {
    error.textContent = answer.body.detail;
  }
});
