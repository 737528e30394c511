"""A person at the sign-in page of the laptop's identity provider, by plain HTTP."""

import http.client
import re
import urllib.parse
import urllib.request


def sign_in(url, user, resource):
    """Presses the user's button, and returns the address of the client that the page then leads to."""
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    assert asked.get("resource") == [resource], f"asks for {asked.get('resource')}, not for {resource}"
    assert asked.get("code_challenge_method") == ["S256"], f"asks without PKCE: {asked}"
    with urllib.request.urlopen(url, timeout=30) as page:
        form = re.search(rf'name="ticket" value="([^"]+)"><button [^>]*value="{user}"', page.read().decode())
    assert form, f"the page has no button for {user}"
    door = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
    pressed = urllib.parse.urlencode({"ticket": form[1], "user": user})
    # The redirect is the client's to follow.
    door.request("POST", "/authorize", pressed, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = door.getresponse()
    assert answer.status == 303, f"the identity provider answered {answer.status}"
    return answer.headers["Location"]
