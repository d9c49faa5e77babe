"""The families that the demo starts with. The days are counted from the start, so none is ever past."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gift_list.models import Family, Gift, GiftList, Member, now

FAMILIES = {"harper": "The Harper family", "okoye": "The Okoye family"}

# family, id, name, who they are, hue
MEMBERS = [
    ("harper", "ana", "Ana", "Mum", 40),
    ("harper", "ben", "Ben", "Dad", 250),
    ("harper", "rose", "Rose", "Grandmother", 340),
    ("harper", "leo", "Leo", "Nearly ten", 130),
    ("harper", "mia", "Mia", "Six and a half", 85),
    ("okoye", "ada", "Ada", "Mum", 300),
    ("okoye", "chidi", "Chidi", "Dad", 200),
    ("okoye", "tobi", "Tobi", "Thirteen", 60),
]

# family, id, for whom, title, days until then
LISTS = [
    ("harper", "leo-ten", "leo", "Leo turns ten", 12),
    ("harper", "ana-kitchen", "ana", "A kitchen for Ana", 26),
    ("harper", "mia-seven", "mia", "Mia turns seven", 41),
    ("harper", "rose-seventy", "rose", "Rose turns seventy", 68),
    ("harper", "ben-wishes", "ben", "Forty-two for Ben", 97),
    ("okoye", "tobi-music", "tobi", "A music room for Tobi", 19),
    ("okoye", "ada-garden", "ada", "A garden for Ada", 54),
]

# list, added by, name, note, price, claimed by
GIFTS = [
    ("leo-ten", "leo", "Roller skates, size 36", "The ones with green wheels, please", "64.90", "rose"),
    ("leo-ten", "leo", "A night at the observatory", "For two: me and whoever likes Saturn", "38.00", None),
    ("leo-ten", "leo", "Marble run, big box", "", "49.95", None),
    ("leo-ten", "leo", "Pocket knife with a saw", "With a lesson in the woods", "29.50", "ben"),
    ("leo-ten", "leo", "Book about octopuses", "Hardcover, the one from the library", "18.99", None),
    ("leo-ten", "rose", "Headlamp for reading in bed", "Warm light", "16.40", None),
    ("ana-kitchen", "ana", "Cast-iron pan, 28 cm", "No coating", "72.00", "rose"),
    ("ana-kitchen", "ana", "Linen tea towels", "Grey or undyed, four of them", "26.00", None),
    ("ana-kitchen", "ben", "Pepper mill", "Wood, made to last", "44.50", "leo"),
    ("ana-kitchen", "ana", "A pot of thyme", "For the window sill", "6.50", None),
    ("mia-seven", "mia", "Watercolours, 24 pans", "", "31.20", None),
    ("mia-seven", "mia", "Magnifying glass", "For snails", "12.00", "rose"),
    ("mia-seven", "mia", "A tent for indoors", "With stars on it", "54.00", None),
    ("mia-seven", "ben", "Swimming lessons", "Ten of them, Saturdays at nine", "85.00", None),
    ("rose-seventy", "rose", "Secateurs", "Small hands!", "39.90", None),
    ("rose-seventy", "rose", "Concert: the cello suites", "Two seats on the aisle", "96.00", "ana"),
    ("rose-seventy", "rose", "A photo book of the summer", "Made by all of you", "35.00", "leo"),
    ("ben-wishes", "ben", "Merino hat", "Dark blue", "42.00", None),
    ("ben-wishes", "ben", "Coffee from far away", "", "14.80", "mia"),
    ("tobi-music", "tobi", "Headphones with a long cable", "Closed ones", "79.00", None),
    ("tobi-music", "chidi", "Metronome", "The wooden kind that ticks", "34.00", "chidi"),
    ("tobi-music", "ada", "Song book", "With chords", "22.50", None),
    ("ada-garden", "ada", "Rain gauge", "", "17.00", None),
    ("ada-garden", "tobi", "Tomato seeds, six kinds", "No cherry tomatoes", "11.40", "tobi"),
]


async def if_empty(db: AsyncSession) -> None:
    """Write the families into a database that has none."""
    if await db.scalar(select(func.count()).select_from(Family)):
        return
    db.add_all(Family(id=key, name=name) for key, name in FAMILIES.items())
    await db.flush()
    db.add_all(
        Member(family_id=family, id=key, name=name, role=role, hue=hue, position=position)
        for position, (family, key, name, role, hue) in enumerate(MEMBERS)
    )
    await db.flush()
    db.add_all(
        GiftList(family_id=family, id=key, owner_id=owner, title=title, due_on=date.today() + timedelta(days=days))
        for family, key, owner, title, days in LISTS
    )
    await db.flush()
    # A minute between two gifts, so that they keep this order.
    started = now() - timedelta(minutes=len(GIFTS))
    db.add_all(
        Gift(
            # The same id in every fresh database, so that a link or a test can name it.
            id=uuid5(NAMESPACE_URL, f"{gift_list}/{name}").hex,
            list_id=gift_list,
            added_by=added_by,
            added_at=started + timedelta(minutes=minute),
            name=name,
            note=note,
            price=Decimal(price),
            claimed_by=claimed_by,
            claim_revision=1 if claimed_by else 0,
        )
        for minute, (gift_list, added_by, name, note, price, claimed_by) in enumerate(GIFTS)
    )
